"""Runs of many sweeps that are cut as their rows come."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xasnn_stream.assembly.axes import NO_ROWS, Rows
from xasnn_stream.assembly.decoders import NotReady
from xasnn_stream.assembly.run import OpenRun, announced
from xasnn_stream.assembly.segments import Cut, Cutter
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.assembly.sweeps import Place
from xasnn_stream.assembly.useless import USELESS, unusable
from xasnn_stream.spectrum import Reason, Spectrum

Doc = Mapping[str, Any]


class ByCutting:
    """Rows of one stream are cut as they come; `pending` are those behind the last cut."""

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self._cutter = Cutter(run.settings.segment)
        self._pending = NO_ROWS
        self._used = 0
        self._dropped = 0
        self._last_event = 0
        self._waiting: list[tuple[Place, Rows]] = []
        # Once rows are missing, later sweeps may have another number.
        self._uncertain = False
        # Rows that were of no use are read again when there are twice as many.
        self._useless = 0

    def note(self, log: StreamLog, seq_num: int) -> bool:
        """Take every event: the last of a number counts, until it is used."""
        return True

    def advance(self) -> list[Spectrum]:
        """Return the sweeps that ended, as far as there is no gap."""
        if not self._useless or self.run.axis.count() >= self._useless:
            self._advance()
        return self._given(over=False)

    def _advance(self) -> None:
        """Cut what came; why that cannot be is said when the run is over."""
        self._useless = 0
        try:
            self._cut(self._take(gapless=True), over=True)
        except NotReady:
            return
        except USELESS:
            self._useless = 2 * self.run.axis.count() - self._used

    def finish(self, stop: Doc | None, *, patient: bool) -> tuple[list[Spectrum], bool]:
        """Return the sweeps that are left; what is missing makes them incomplete."""
        run = self.run
        run.axis.growing.given_up = not patient
        if patient and run.axis.growing and run.missing(stop) > 0:
            return self.advance(), True
        over = stop is not None
        self._uncertain |= run.axis.growing.unnamed
        try:
            self._cut(self._take(gapless=False), over=over)
        except USELESS as error:
            if patient and isinstance(error, NotReady):
                return [], True
            whole = over and not run.axis.growing.unnamed
            place = Place(self._cutter.next_sweep, complete=whole)
            return [*self._given(over=True), unusable(run, error, place)], False
        tail = run.axis.growing.expected(announced(stop, run.axis.name)) - self._used
        cuts = self._cutter.end(whole=over)
        self._cut(cuts, over=over, tail=max(tail, 0), last=over)
        found = self._given(over=True)
        if not run.made:
            place = Place(complete=over and tail <= 0, n_missed=max(tail, 0))
            found.append(self._nothing(place))
        elif over and tail > 0 and not cuts:
            found.append(self._lost(tail))
        return found, False

    def _lost(self, n_missed: int) -> Spectrum:
        """Say that rows behind the last sweep are missing, which may have been sweeps."""
        uid, sweep = self.run.header.uid, self._cutter.next_sweep
        text = f"{n_missed} rows of run {uid} are missing behind sweep {sweep - 1}"
        place = Place(sweep, complete=False, n_missed=n_missed)
        return self.run.spectrum(place, problem=Reason("incomplete", text))

    def _nothing(self, place: Place) -> Spectrum:
        """Say why a run that is over has no sweep at all."""
        run, axis = self.run, self.run.axis
        promised = axis.growing.expected(None)
        if promised > self._used:
            rows = f"{promised - self._used} of {promised} rows"
            where = axis.growing.shortage or "the documents of a file did not come"
            return unusable(run, NotReady(f"{rows} cannot be read; {where}"), place)
        nothing = run.no_events(axis)
        if self._used:
            text = f"run {run.header.uid} holds no sweep in {self._used} rows"
            nothing = Reason("no_signal", text)
        return run.spectrum(place, problem=nothing)

    def so_far(self) -> list[Spectrum]:
        """Return the rows behind the last cut."""
        place = Place(self._cutter.next_sweep, final=False)
        return [self.run.spectrum(place, self._pending)] if len(self._pending) else []

    def _take(self, *, gapless: bool) -> list[Cut]:
        """Take the rows that are new; return the sweeps that they end."""
        table = self.run.axis.table(self._used, gapless=gapless)
        if not len(table):
            return []
        rows = self.run.rows(table)
        self._used = int(table.event[-1])
        self._pending = self._pending.then(rows)
        return self._cutter.feed(rows.energy_ev)

    def _given(self, *, over: bool) -> list[Spectrum]:
        """Return the spectra of cuts, in order, as far as conditions are there."""
        found: list[Spectrum] = []
        for place, rows in self._waiting:
            at_s = float(rows.time[len(rows) // 2]) if len(rows) else 0.0
            if not over and self.run.awaits_condition(at_s):
                break
            found.append(self.run.spectrum(place, rows))
        self._waiting = self._waiting[len(found) :]
        return found

    def _cut(
        self, cuts: list[Cut], *, over: bool, tail: int = 0, last: bool = True
    ) -> None:
        """Have cuts handed on; rows before the last of them are not needed any more.

        `tail` rows are missing behind it. If it is not the `last`, the run may go on.
        """
        start, event = 0, self._last_event
        for cut in cuts:
            first, end = cut.first - self._dropped, cut.last - self._dropped
            came = np.unique(self._pending.event[start:end])
            gapless = event + int((came > event).sum())
            if end:
                event = int(self._pending.event[end - 1])
            missing = event - gapless + (tail if cut is cuts[-1] else 0)
            start, rows = end, self._pending.part(first, end)
            self._uncertain |= missing > 0 and last
            place = Place(
                cut.sweep,
                cut.direction,
                progress=1.0 if cut.ended else None,
                complete=over and not missing and not self._uncertain,
                n_missed=missing,
            )
            self._waiting.append((place, rows))
        if cuts and last:
            self._pending = self._pending.part(start, len(self._pending))
            self._dropped += start
            self._last_event = event
