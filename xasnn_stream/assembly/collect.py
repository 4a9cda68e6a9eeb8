"""How a run becomes sweeps: by event, by cutting as it comes, or as a whole."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from xasnn_stream.assembly.axes import NO_ROWS, Rows, UnusableError, is_one_stream
from xasnn_stream.assembly.decoders import NotReady, Undecodable
from xasnn_stream.assembly.run import OpenRun, announced
from xasnn_stream.assembly.segments import Cut, Cutter
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.assembly.sweeps import Place
from xasnn_stream.spectrum import Reason, Spectrum

Doc = Mapping[str, Any]

MOST_LOST = 1_000
"""Lost sweeps of a run that get a result of their own; recovery reads the whole run."""

_USELESS = (NotReady, Undecodable, UnusableError)
"""Why rows make no spectrum, now or ever."""


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
            if stuck and not over and seq_num not in fresh:
                continue
            at_s = self.run.axis.rows.row(seq_num)[0]
            if not over and self.run.awaits_condition(at_s):
                self._fresh.add(seq_num)
                continue
            del self._waiting[seq_num]
            try:
                found.append(self._spectrum(seq_num))
            except _USELESS as error:
                if patient and isinstance(error, NotReady):
                    self._waiting[seq_num] = None  # behind the others
                    stuck = True
                    continue
                place = Place(seq_num - 1, at_s=at_s)
                found.append(unusable(self.run, error, place))
            self.run.axis.forget(seq_num)
        return sorted(found, key=lambda spectrum: spectrum.run.sweep)

    def _spectrum(self, seq_num: int) -> Spectrum:
        segment = self.run.settings.segment
        rows = self.run.rows(self.run.axis.event_table(seq_num).unpacked())
        rows = rows.part(segment.drop_first, len(rows) - segment.drop_last)
        return self.run.spectrum(Place(seq_num - 1, progress=1.0), rows)

    def _lost(self, seq_num: int) -> Spectrum:
        uid = self.run.header.uid
        lost = Reason("incomplete", f"event {seq_num} of run {uid} never came")
        return self.run.spectrum(
            Place(seq_num - 1, complete=False, n_missed=1), problem=lost
        )


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
        except (Undecodable, UnusableError):
            self._useless = 2 * self.run.axis.count() - self._used

    def finish(self, stop: Doc | None, *, patient: bool) -> tuple[list[Spectrum], bool]:
        """Return the sweeps that are left; what is missing makes them incomplete."""
        run = self.run
        run.axis.given_up = not patient
        if patient and run.axis.grows and run.missing(stop) > 0:
            return self.advance(), True
        over = stop is not None
        self._uncertain |= run.axis.unnamed
        try:
            self._cut(self._take(gapless=False), over=over)
        except _USELESS as error:
            if patient and isinstance(error, NotReady):
                return [], True
            whole = over and not run.axis.unnamed
            place = Place(self._cutter.next_sweep, complete=whole)
            return [*self._given(over=True), unusable(run, error, place)], False
        tail = run.axis.expected(announced(stop, run.axis.name)) - self._used
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
        promised = axis.expected(None)
        if promised > self._used:
            rows = f"{promised - self._used} of {promised} rows"
            where = axis.shortage or "the documents of a file did not come"
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
        run.axis.given_up = not patient
        if patient and run.axis.grows and run.missing(stop) > 0:
            return [], True
        try:
            rows, n_missed = run.everything(stop)
            return self._spectra(rows, n_missed, over=stop is not None), False
        except _USELESS as error:
            if patient and isinstance(error, NotReady):
                return [], True
            n_missed = run.missing(stop)
            place = Place(
                progress=run.progress,
                complete=stop is not None and not n_missed and not run.axis.unnamed,
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
        except _USELESS:
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


def unusable(run: OpenRun, error: Exception, place: Place) -> Spectrum:
    """Return the sweep of which nothing can be made, with the reason.

    What a file lacks may be there later, so then it is incomplete.
    """
    if isinstance(error, UnusableError):
        return run.spectrum(place, problem=error.reason)
    uid = run.header.uid
    if isinstance(error, Undecodable):
        return run.spectrum(
            place, problem=Reason("unreadable_file", f"run {uid}: {error}")
        )
    missing = replace(place, complete=False)
    return run.spectrum(missing, problem=Reason("no_file", f"run {uid}: {error}"))
