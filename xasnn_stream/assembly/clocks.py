"""When rows were taken, and rows of different clocks at the same times."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.columns import numbers
from xasnn_stream.assembly.settings import Clock
from xasnn_stream.assembly.table import Table
from xasnn_stream.spectrum import FloatArray

_LATEST_S = 5e9  # the year 2128
_LONGEST_S = 1e8  # three years: no run lasts as long, whatever its clock's zero
_MUCH_DENSER = 5.0
_GAP = 10.0
"""Mean steps without a row, over which nothing is interpolated."""

Series = tuple[FloatArray, Mapping[str, FloatArray]]


def times(
    table: Table, clock: Clock, began_s: float, pulses: Table | None
) -> FloatArray:
    """Return when each row was taken, `(rows,)` in epoch seconds.

    Parameters
    ----------
    began_s
        Start of the run in epoch seconds, for clocks that count from there.
    pulses
        The edges of an `edges` clock. Row i belongs to pulse i, so rows without a
        pulse, and pulses without a row, are left over at the end.

    NaN marks a row without a time: padding (zero on an epoch clock, or years from the
    others), a pulse of which one edge was lost, a column that is absent.
    """
    raw = _raw(table, clock, pulses)
    if clock.kind == "event":
        return _without_padding(raw)
    return _without_padding(raw if clock.epoch else raw + began_s)


@np.errstate(over="ignore", invalid="ignore")  # readings may be anything
def together(
    series: Sequence[Series], smooth: Collection[str] = ()
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return columns of several clocks on one: times `(rows,)`, columns by name.

    Each of the series is its times in s, `(rows,)`, and columns `(rows,)` or
    `(rows, k)`; a name should be in one of them only. Rows without a time are dropped,
    and as few more as let time rise. The common clock is that of the series with the
    fewest rows in the span that all have; its own readings stay as they are. A series
    of nothing but `smooth` columns, as the position of what moves, gives the clock only
    if there is no other: on its path little is lost between two rows, in a spectrum
    much is. A series more than five times as dense as the clock is first averaged over
    blocks, each from half-way after the previous common time to half-way before the
    next. Then readings are interpolated linearly, smooth columns with fewer rows than
    the clock by monotone cubics; over ten mean steps without a row they are NaN. Nothing
    is sorted by energy.

    What remains: a reading x(t) between two rows Δt apart is wrong by up to x''Δt²/8,
    an average over Δt by x''Δt²/24; interpolated noise is up to halved in variance and
    shared by neighbours. A clock that is late by δt moves every energy by δt * dE/dt,
    up and down sweeps to opposite sides; nothing here can tell it.
    """
    ordered = [_in_order(at_s, columns) for at_s, columns in series]
    if not ordered or not all(len(at_s) for at_s, _ in ordered):
        return np.empty(0), {
            name: column[:0]
            for _, columns in ordered
            for name, column in columns.items()
        }
    first = max(at_s[0] for at_s, _ in ordered)
    last = min(at_s[-1] for at_s, _ in ordered)
    inside = [(at_s >= first) & (at_s <= last) for at_s, _ in ordered]
    every = range(len(ordered))
    clocks = [i for i in every if not set(ordered[i][1]) <= set(smooth)] or every
    slowest = min(clocks, key=lambda i: int(inside[i].sum()))
    grid = ordered[slowest][0][inside[slowest]]
    if len(grid) > 1:
        ordered = [
            _averaged(*one, grid) if within.sum() > _MUCH_DENSER * len(grid) else one
            for one, within in zip(ordered, inside, strict=True)
        ]
        # Of a series that ends within a block the mean lies to one side of the time.
        starts, ends = zip(*((at_s[0], at_s[-1]) for at_s, _ in ordered), strict=True)
        grid = grid[(grid >= max(starts)) & (grid <= min(ends))]
    found: dict[str, FloatArray] = {}
    for at_s, columns in ordered:
        found |= _interpolated(at_s, columns, grid)
        if 2 < len(at_s) < len(grid):
            for name in set(columns) & set(smooth):
                curve = _monotone(at_s, columns[name], grid)
                known = np.isfinite(curve) & np.isfinite(found[name])
                found[name] = np.where(known, curve, found[name])
    return grid, found


def _raw(table: Table, clock: Clock, pulses: Table | None) -> FloatArray:
    """Return times as the clock counts them, in seconds; NaN where it says nothing."""
    match clock.kind:
        case "event":
            return table.time
        case "column":
            found = _column(table, clock.column) * clock.unit_s
        case "split":
            fraction = _column(table, clock.fraction) * clock.unit_s
            found = _column(table, clock.column) + fraction
        case "edges":
            return _of_pulses(len(table), clock, pulses)
    # A relative clock may begin at zero; on an epoch clock zero is a row never filled.
    return np.where(found == 0, np.nan, found) if clock.epoch else found


def _column(table: Table, name: str) -> FloatArray:
    found = numbers(table.columns.get(name))
    if found is None or found.shape != (len(table),):
        return np.full(len(table), np.nan)
    return found


def _of_pulses(n_rows: int, clock: Clock, pulses: Table | None) -> FloatArray:
    found = np.full(n_rows, np.nan)
    if pulses is None:
        return found
    rise, fall = _pulses(pulses)
    at_s = {"rise": rise, "mid": (rise + fall) / 2.0, "fall": fall}[clock.at]
    n = min(n_rows, len(at_s))
    found[:n] = at_s[:n] * clock.unit_s
    return found


def _pulses(edges: Table) -> tuple[FloatArray, FloatArray]:
    """Return rise and fall of every pulse; NaN for an edge that was lost.

    A pulse begins where the signal rises, or with a fall that follows a fall: its rise
    was lost, and leaving the pulse out would give all later rows the time of another.
    """
    at_s = _column(edges, "timestamp")
    at_s = _without_padding(np.where(at_s == 0, np.nan, at_s))
    transition = _column(edges, "transition")
    usable = np.isfinite(at_s) & np.isin(transition, (0.0, 1.0))
    at_s, up = at_s[usable], transition[usable] == 1.0
    after_fall = np.concatenate(([False], ~up[:-1]))
    begins = np.flatnonzero(up | after_fall)
    rise = np.where(up[begins], at_s[begins], np.nan)
    ends = begins + up[begins]
    is_fall = ends < len(up)
    is_fall[is_fall] = ~up[ends[is_fall]]
    fall = np.full(len(begins), np.nan)
    fall[is_fall] = at_s[ends[is_fall]]
    return rise, fall


def _without_padding(at_s: FloatArray) -> FloatArray:
    """Return times with NaN for those no run can have, or years from most others."""
    possible = np.isfinite(at_s) & (at_s < _LATEST_S) & (at_s > -_LATEST_S)
    if not possible.any():
        return np.full(len(at_s), np.nan)
    middle = np.median(at_s[possible])
    near = possible & (np.abs(at_s - middle) < _LONGEST_S)
    return np.where(near, at_s, np.nan)


def _in_order(at_s: FloatArray, columns: Mapping[str, FloatArray]) -> Series:
    """Return the rows that have a time, without the fewest that keep it from rising."""
    rows = np.flatnonzero(np.isfinite(at_s))
    if np.any(np.diff(at_s[rows]) <= 0):
        rows = rows[_rising(at_s[rows])]
    return at_s[rows], {name: column[rows] for name, column in columns.items()}


def _rising(values: FloatArray) -> NDArray[np.intp]:
    """Return where the longest strictly rising subsequence is (patience sorting)."""
    lowest: list[float] = []  # last value of the best subsequence of each length
    row_of: list[int] = []
    before: list[int] = []
    for row, value in enumerate(values.tolist()):
        length = bisect_left(lowest, value)
        before.append(row_of[length - 1] if length else -1)
        if length == len(lowest):
            lowest.append(value)
            row_of.append(row)
        else:
            lowest[length], row_of[length] = value, row
    rows = np.empty(len(lowest), dtype=np.intp)
    row = row_of[-1]
    for place in range(len(rows) - 1, -1, -1):
        rows[place] = row
        row = before[row]
    return rows


def _averaged(
    at_s: FloatArray, columns: Mapping[str, FloatArray], grid: FloatArray
) -> Series:
    """Return the means of rows around each time of the grid, where there are any.

    A reading that is NaN is left out of its mean.
    """
    # A block more at either end, where there are rows, and no reading is held there.
    grid = np.concatenate(([2 * grid[0] - grid[1]], grid, [2 * grid[-1] - grid[-2]]))
    middles = (grid[1:] + grid[:-1]) / 2.0
    first, last = 2 * grid[0] - middles[0], 2 * grid[-1] - middles[-1]
    limits = np.searchsorted(at_s, np.concatenate(([first], middles, [last])))
    filled = np.diff(limits) > 0
    starts, end = limits[:-1][filled], limits[-1]
    means = {n: _means(column[:end], starts) for n, column in columns.items()}
    return _means(at_s[:end], starts), means


def _means(column: FloatArray, starts: NDArray[np.intp]) -> FloatArray:
    usable = np.isfinite(column)
    sums = np.add.reduceat(np.where(usable, column, 0.0), starts, axis=0)
    counts = np.add.reduceat(usable.astype(np.float64), starts, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)


def _interpolated(
    at_s: FloatArray, columns: Mapping[str, FloatArray], grid: FloatArray
) -> dict[str, FloatArray]:
    """Return columns at the times of the grid, which lie within those of the rows.

    A time of the grid that is a row's own gets that row alone, whatever is beside it.
    """
    after = np.clip(np.searchsorted(at_s, grid), 0, len(at_s) - 1)
    before = np.where(at_s[after] > grid, np.maximum(after - 1, 0), after)
    step = at_s[after] - at_s[before]
    share = np.where(step > 0, (grid - at_s[before]) / np.where(step > 0, step, 1.0), 0)
    between = share > 0
    unknown = between & (step > _GAP * (at_s[-1] - at_s[0]) / max(len(at_s) - 1, 1))
    found: dict[str, FloatArray] = {}
    for name, column in columns.items():
        values = column[before]
        part = share[between].reshape(-1, *[1] * (column.ndim - 1))
        beyond = part * column[after[between]]
        values[between] = (1.0 - part) * values[between] + beyond
        values[unknown] = np.nan
        found[name] = values
    return found


@np.errstate(divide="ignore", invalid="ignore")  # at a turn no slope counts
def _monotone(at_s: FloatArray, values: FloatArray, grid: FloatArray) -> FloatArray:
    """Return `values` `(rows,)` at the times of the grid, which lie within the rows'.

    The cubic of Fritsch and Butland (SIAM J. Sci. Stat. Comput. 5, 300 (1984)): slopes
    are weighted harmonic means, so it never leaves the readings to either side, however
    close two rows are. NaN beside a reading that is NaN.
    """
    step = np.diff(at_s)
    slope = np.diff(values) / step
    before, after = slope[:-1], slope[1:]
    later, sooner = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    mean = (later + sooner) / (later / before + sooner / after)
    inner = np.where(before * after <= 0, 0.0, mean)
    slopes = np.concatenate((slope[:1], inner, slope[-1:]))
    row = np.clip(np.searchsorted(at_s, grid, side="right") - 1, 0, len(step) - 1)
    x = (grid - at_s[row]) / step[row]
    ahead, behind = slopes[row] - slope[row], slope[row] - slopes[row + 1]
    bend = step[row] * x * (1 - x) * (ahead * (1 - x) + behind * x)
    return values[row] + x * (values[row + 1] - values[row]) + bend
