"""Runs whose every event is a sweep."""

from collections.abc import Mapping
from typing import Any

from xasnn_stream.assembly.decoders import NotReady
from xasnn_stream.assembly.run import OpenRun, announced
from xasnn_stream.assembly.segments import direction_of
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.assembly.sweeps import Place
from xasnn_stream.assembly.useless import USELESS, unusable
from xasnn_stream.spectrum import Reason, Spectrum

Doc = Mapping[str, Any]

MOST_LOST = 1_000
"""Lost sweeps of a run that get a result of their own; recovery reads the whole run."""


class ByEvent:
    """Every event is a sweep, which goes out when it comes."""

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self._waiting: dict[int, None] = {}
        self._fresh: set[int] = set()

    def note(self, log: StreamLog, seq_num: int) -> bool:
        """Note an event, once."""
        if log is not self.run.axis:
            return True
        if seq_num - 1 in self.run.made:
            return False
        self._waiting[seq_num] = None
        self._fresh.add(seq_num)
        return True

    def advance(self) -> list[Spectrum]:
        """Return the sweeps of the events that came, with their conditions."""
        return self._spectra(patient=True, over=False)

    def finish(self, stop: Doc | None, *, patient: bool) -> tuple[list[Spectrum], bool]:
        """Return what is left, and a result for every event that never came."""
        found = self._spectra(patient=patient, over=True)
        if self._waiting:
            return found, True
        axis = self.run.axis
        absent = axis.rows.absent(announced(stop, axis.name), MOST_LOST)
        if not axis.rows and not absent:
            nothing = self.run.no_events(axis)
            place = Place(complete=stop is not None)
            return [self.run.spectrum(place, problem=nothing)], False
        return [*found, *map(self._lost, absent)], False

    def so_far(self) -> list[Spectrum]:
        """Return nothing: an event is there as a whole, or not at all."""
        return []

    def _spectra(self, *, patient: bool, over: bool) -> list[Spectrum]:
        """Return what can be made of the events that wait.

        While the run goes on, those whose file was not there are asked by turns: as long
        as the files are there, and one that is not at each document.
        """
        found: list[Spectrum] = []
        fresh, self._fresh = self._fresh, set[int]()
        stuck = False
        for seq_num in list(self._waiting):
            if seq_num not in self.run.axis.rows:
                del self._waiting[seq_num]  # there was no room for it
                continue
            if stuck and not over and seq_num not in fresh:
                continue
            at_s = self.run.axis.rows.row(seq_num)[0]
            if not over and self.run.awaits_condition(at_s):
                self._fresh.add(seq_num)
                continue
            del self._waiting[seq_num]
            try:
                found += self._spectrum(seq_num)
            except USELESS as error:
                if patient and isinstance(error, NotReady):
                    self._waiting[seq_num] = None  # behind the others
                    stuck = True
                    continue
                place = Place(seq_num - 1, at_s=at_s)
                found.append(unusable(self.run, error, place))
            self.run.axis.forget(seq_num)
        return sorted(found, key=lambda spectrum: spectrum.run.sweep)

    def _spectrum(self, seq_num: int) -> list[Spectrum]:
        """Return the sweep of an event, nothing if it runs in a direction not wanted."""
        segment = self.run.settings.segment
        rows = self.run.rows(self.run.axis.event_table(seq_num).unpacked())
        if segment.direction not in ("both", direction_of(rows.energy_ev)):
            return []
        rows = rows.part(segment.drop_first, len(rows) - segment.drop_last)
        return [self.run.spectrum(Place(seq_num - 1, progress=1.0), rows)]

    def _lost(self, seq_num: int) -> Spectrum:
        uid = self.run.header.uid
        lost = Reason("incomplete", f"event {seq_num} of run {uid} never came")
        return self.run.spectrum(
            Place(seq_num - 1, complete=False, n_missed=1), problem=lost
        )
