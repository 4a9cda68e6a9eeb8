"""How a run becomes sweeps: by event, by cutting as it comes, or as a whole."""

from collections.abc import Mapping
from typing import Any, Protocol

from xasnn_stream.assembly.as_a_whole import AsAWhole
from xasnn_stream.assembly.axes import is_one_stream
from xasnn_stream.assembly.by_cutting import ByCutting
from xasnn_stream.assembly.by_event import ByEvent
from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.spectrum import Spectrum

Doc = Mapping[str, Any]


class Collector(Protocol):
    """What one run makes of its streams."""

    run: OpenRun

    def note(self, log: StreamLog, seq_num: int) -> bool:
        """Take note of an event; False if it is past, and to be left out."""
        ...

    def advance(self) -> list[Spectrum]:
        """Return the sweeps that are over, while the run goes on."""
        ...

    def finish(self, stop: Doc | None, *, patient: bool) -> tuple[list[Spectrum], bool]:
        """Return the sweeps that are left; without a stop document they are incomplete.

        If `patient`, and files are awaited, there are more: then True comes with them.
        """
        ...

    def so_far(self) -> list[Spectrum]:
        """Return the partial spectrum of the sweep that goes on, if it can be told."""
        ...


def collector(run: OpenRun) -> Collector:
    """Return how a run's profile says that it becomes sweeps."""
    kind = run.settings.segment.kind
    if kind == "per_event":
        return ByEvent(run)
    if kind == "per_run" or not is_one_stream(run.settings):
        return AsAWhole(run)
    return ByCutting(run)
