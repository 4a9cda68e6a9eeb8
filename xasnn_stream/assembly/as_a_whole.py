"""Runs that are cut into sweeps when they are over."""

from collections.abc import Mapping
from typing import Any

from xasnn_stream.assembly.axes import Rows, UnusableError, is_one_stream
from xasnn_stream.assembly.decoders import NotReady
from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.segments import Cutter
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.assembly.sweeps import Place
from xasnn_stream.assembly.useless import USELESS, unusable
from xasnn_stream.spectrum import Reason, Spectrum

Doc = Mapping[str, Any]


class AsAWhole:
    """Sweeps are cut when the run is over: one, or of streams with clocks of their own."""

    def __init__(self, run: OpenRun) -> None:
        self.run = run

    def note(self, log: StreamLog, seq_num: int) -> bool:
        """Take every event: one measured again after a pause replaces the first."""
        return True

    def advance(self) -> list[Spectrum]:
        """Return nothing, for nothing is over before the run."""
        return []

    def finish(self, stop: Doc | None, *, patient: bool) -> tuple[list[Spectrum], bool]:
        """Return all sweeps."""
        run = self.run
        run.axis.growing.given_up = not patient
        if patient and run.axis.growing and run.missing(stop) > 0:
            return [], True
        try:
            rows, n_missed = run.everything(stop)
            return self._spectra(rows, n_missed, over=stop is not None), False
        except USELESS as error:
            if patient and isinstance(error, NotReady):
                return [], True
            n_missed = run.missing(stop)
            place = Place(
                progress=run.progress,
                complete=stop is not None
                and not n_missed
                and not run.axis.growing.unnamed,
                n_missed=n_missed,
            )
            return [unusable(run, error, place)], False

    def so_far(self) -> list[Spectrum]:
        """Return the rows of a run that is one sweep, so far."""
        run = self.run
        if run.settings.segment.kind != "per_run" or not is_one_stream(run.settings):
            return []
        try:
            rows, n_missed = run.everything(None)
        except USELESS:
            return []
        place = Place(
            progress=run.progress,
            final=False,
            complete=n_missed == 0,
            n_missed=n_missed,
        )
        return [run.spectrum(place, rows)]

    def _spectra(self, rows: Rows, n_missed: int, *, over: bool) -> list[Spectrum]:
        run = self.run
        cutter = Cutter(run.settings.segment)
        cuts = cutter.feed(rows.energy_ev) + cutter.end(whole=over)
        if not cuts:
            text = f"run {run.header.uid} holds no sweep in {len(rows)} rows"
            none = Reason("no_signal", text) if len(rows) else run.no_events(run.axis)
            raise UnusableError(none)
        one = run.settings.segment.kind == "per_run"
        return [
            run.spectrum(
                Place(
                    cut.sweep,
                    cut.direction,
                    run.progress if one else (1.0 if cut.ended else None),
                    complete=over and not n_missed,
                    n_missed=n_missed,
                ),
                rows.part(cut.first, cut.last),
            )
            for cut in cuts
        ]
