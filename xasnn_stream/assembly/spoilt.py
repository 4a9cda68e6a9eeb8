"""What is left of a run on whose documents this program itself failed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xasnn_stream.assembly.axes import NO_ROWS
from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.assembly.sweeps import Place, spectrum
from xasnn_stream.spectrum import Reason, Spectrum


class Spoilt:
    """Takes no more events; at its end the run has one rejected sweep that says why.

    It counts as complete: read again, the same documents would come to the same.
    """

    def __init__(self, run: OpenRun, error: Exception) -> None:
        self.run = run
        self._error = error

    def note(self, log: StreamLog, seq_num: int) -> bool:
        """Leave out every event."""
        return False

    def advance(self) -> list[Spectrum]:
        """Return nothing."""
        return []

    def finish(
        self, stop: Mapping[str, Any] | None, *, patient: bool
    ) -> tuple[list[Spectrum], bool]:
        """Return the sweep that was under way, without points."""
        run = self.run
        place = Place(max(run.made, default=-1) + 1, complete=stop is not None)
        run.made.add(place.sweep)
        text = f"run {run.header.uid} made this program fail: {self._error!r:.200}"
        problem = Reason("failed", f"{text}; the log has it whole")
        # Nothing that may have failed is asked again.
        settings = replace(run.settings, conditions={})
        return [
            spectrum(settings, run.header, place, NO_ROWS, beside={}, problem=problem)
        ], False

    def so_far(self) -> list[Spectrum]:
        """Return nothing."""
        return []
