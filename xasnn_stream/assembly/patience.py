"""How long a run that fell silent is waited for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Silence, in seconds, after which the end of a run counts as lost.

    `whole_s`: all announced rows are there; a RunEngine sends the stop right after the
    last event, later only if it unstages slowly. `silent_s`: longer than any point of a
    step scan takes, so the scan is paused or its end was lost. `dead_s`: nobody resumes
    a scan after so long. `late_s`: documents that some transport put behind the stop, or
    before the one they belong to, come within this.
    """

    whole_s: float = 5.0
    silent_s: float = 60.0
    dead_s: float = 6 * 3600.0
    late_s: float = 0.5

    def before_release(self, whole: bool) -> float:
        """Return how long to wait for a run that has all announced rows, or has not."""
        return self.whole_s if whole else self.silent_s
