"""Where rows become sweeps: the run, its events, or where the energy turns."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from xasnn_stream.assembly.settings import Segment
from xasnn_stream.spectrum import Direction, FloatArray


@dataclass(frozen=True, slots=True)
class Cut:
    """One sweep: rows `first` to `last`, the latter excluded, of all rows of the run.

    `sweep` counts the sweeps of the run from 0, also those in a direction that is not
    wanted. `ended` is False while more of its rows may come.
    """

    sweep: int
    first: int
    last: int
    direction: Direction
    ended: bool


@dataclass(slots=True)
class _Half:
    """A half cycle: which way energy runs, where from, and how far it came.

    `sign` is +1 upwards, -1 downwards. `first` is the row it runs from, `origin` the
    energy; `reached` and `held` are the first and the last row at the furthest energy
    so far, `extreme`.
    """

    sign: float
    first: int
    origin: float
    extreme: float
    reached: int
    held: int

    def follow(self, row: int, energy: float) -> float:
        """Take one more row; return how far energy is back from the extreme."""
        ahead = self.sign * (energy - self.extreme)
        if ahead > 0:
            self.extreme, self.reached, self.held = energy, row, row
        elif ahead == 0:
            self.held = row
        return -ahead

    def turned(self) -> "_Half":
        """Return the half cycle the other way, from where this one ended."""
        # The one row at a sharp turn belongs to the half cycle that ends there.
        first = self.held if self.held > self.reached else self.held + 1
        extreme = self.extreme
        return _Half(-self.sign, first, extreme, extreme, self.held, self.held)


@dataclass(slots=True)
class _Rows:
    """The energies of rows that belong to no sweep yet; `first` is the first of them."""

    first: int = 0
    end: int = 0
    parts: list[FloatArray] = field(default_factory=list[FloatArray])

    def add(self, energy: FloatArray) -> None:
        self.parts.append(energy)
        self.end += len(energy)

    def between(self, first: int, last: int) -> FloatArray:
        if len(self.parts) != 1:
            self.parts = [np.concatenate([np.empty(0), *self.parts])]
        return self.parts[0][first - self.first : last - self.first]

    def forget(self, first: int) -> None:
        """Forget the rows before `first`."""
        self.parts = [self.between(first, self.end)]
        self.first = first


class Cutter:
    """Cuts the rows of one run into sweeps, as they come; not those `per_event`.

    What it returns does not depend on how rows were divided over calls. Rows at a rest
    of exactly one energy where energies turn are in no sweep but for one; those of a
    rest with noise are within `trim_ev`. The ends of a run count as turning points: a
    monochromator rests there, too.
    """

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._rows = _Rows()
        self._sweeps = 0
        # The half cycle under way; before energy moved, one each way is tried.
        self._half: _Half | None = None
        self._tried: tuple[_Half, _Half] | None = None
        self._halves = 0

    @property
    def next_sweep(self) -> int:
        """The number of the sweep under way."""
        return self._sweeps

    def feed(self, energy: FloatArray) -> list[Cut]:
        """Take rows that are new, `(rows,)` in eV, and return the sweeps that are over."""
        first = self._rows.end
        # What is no energy, as that of a row never filled, moves nothing.
        energy = np.where(np.isfinite(energy) & (energy > 0), energy, np.nan)
        self._rows.add(energy)
        cuts: list[Cut] = []
        if self._segment.kind == "fixed_count":
            cuts = list(self._counted())
        elif self._segment.kind == "turning_points":
            cuts = list(self._turns(first, energy))
        return [cut for cut in cuts if self._wanted(cut)]

    def end(self, *, whole: bool) -> list[Cut]:
        """Return the sweep under way, if there is one: its last at the end of a run.

        It is `ended` if `whole`. Nothing is changed: rows may follow.
        """
        first, last = self._rows.first, self._rows.end
        cut = None
        if self._segment.kind == "turning_points":
            if self._half is not None:
                cut = self._half_cut(self._half, at_end=True, ended=whole)
        elif last > first:
            cut = self._cut(self._sweeps, first, last, ended=whole)
        return [cut] if cut is not None and self._wanted(cut) else []

    def _wanted(self, cut: Cut) -> bool:
        return self._segment.direction in ("both", cut.direction)

    def _cut(self, sweep: int, first: int, last: int, *, ended: bool) -> Cut:
        """Return rows as a sweep, without those that every sweep drops."""
        direction = direction_of(self._rows.between(first, last))
        first = min(first + self._segment.drop_first, last)
        last = max(last - self._segment.drop_last, first)
        return Cut(sweep, first, last, direction, ended)

    def _counted(self) -> Iterator[Cut]:
        points = max(self._segment.points, 1)
        n_over = (self._rows.end - self._rows.first) // points
        for first in range(
            self._rows.first, self._rows.first + n_over * points, points
        ):
            yield self._cut(self._sweeps, first, first + points, ended=True)
            self._sweeps += 1
        self._rows.forget(self._rows.first + n_over * points)

    def _turns(self, first: int, energy: FloatArray) -> Iterator[Cut]:
        """Follow energies and return the half cycles that are over and are sweeps."""
        back_ev = self._segment.hysteresis_ev
        finite = np.flatnonzero(np.isfinite(energy))
        for row, value in zip(
            (finite + first).tolist(), energy[finite].tolist(), strict=True
        ):
            half = self._half
            if half is None:
                self._try(row, value)
            elif half.follow(row, value) > back_ev:
                cut = self._half_cut(half, at_end=self._halves == 0, ended=True)
                if cut is not None:
                    yield cut
                    self._sweeps += 1
                self._halves += 1
                self._half = half.turned()
                self._half.follow(row, value)
                self._rows.forget(self._half.first)

    def _try(self, row: int, energy: float) -> None:
        """Begin the first half cycle once energy has moved far enough from a start."""
        if self._tried is None:
            self._tried = (
                _Half(1.0, row, energy, energy, row, row),
                _Half(-1.0, row, energy, energy, row, row),
            )
        for extreme in self._tried:
            if extreme.follow(row, energy) > self._segment.hysteresis_ev:
                self._half = extreme.turned()
                self._half.first = extreme.held
                self._half.follow(row, energy)
                self._rows.forget(extreme.held)
                return

    def _half_cut(self, half: _Half, *, at_end: bool, ended: bool) -> Cut | None:
        """Return a half cycle as a sweep, None if it is too short to be one."""
        span_ev = half.sign * (half.extreme - half.origin)
        if span_ev < self._segment.min_span_ev:
            return None
        energy = self._rows.between(half.first, half.reached + 1)
        trim_ev = self._segment.trim_ev
        before = np.flatnonzero(half.sign * (energy - half.origin) < trim_ev)
        beyond = np.flatnonzero(half.sign * (half.extreme - energy) < trim_ev)
        first = int(before[-1]) + 1 if len(before) else 0
        last = int(beyond[0]) if len(beyond) else len(energy)
        finite = np.flatnonzero(np.isfinite(energy[first:last]))
        if not len(finite):
            return None
        last = first + int(finite[-1]) + 1 - self._segment.drop_last
        first += int(finite[0]) + self._segment.drop_first
        if last - first < (max(self._segment.min_points, 1) if at_end else 1):
            return None
        direction: Direction = "up" if half.sign > 0 else "down"
        return Cut(
            self._sweeps, half.first + first, half.first + last, direction, ended
        )


def direction_of(energy: FloatArray) -> Direction:
    """Return whether energies rise or fall from the first to the last, None if neither."""
    finite = energy[np.isfinite(energy)]
    if len(finite) < 2 or finite[0] == finite[-1]:
        return None
    return "up" if finite[-1] > finite[0] else "down"
