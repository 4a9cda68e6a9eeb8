"""The absorption edge: where it is, by the maximum of the derivative or by half the step.

The rules follow larch's `find_e0`, so that numbers agree with what users know: e0 is a
measured point, first found on the raw derivative, then refined on a derivative smoothed
with a narrow Lorentzian.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from xasnn_stream.physics.grid import Grid, grid_of
from xasnn_stream.physics.normalization.slope import (
    STEEP,
    around,
    derivative,
    fine_step,
    margin,
    smooth,
    steepest,
)
from xasnn_stream.physics.ragged import gather

_LEAST = 7
"""Points of which one is not among the three at either end, which are never the edge."""
_SHORTEST = 20
"""Points below which a common grid is not worth its operators."""
_WIDTH = 150
"""Points around the steepest that are smoothed, at most, where a matrix does it."""
_ENDS = 3
"""Of these, how many at either end are never the edge."""
_TINY_RANGE = 1e-10
_FEW = 8
"""Different places of the edge in a batch, or spectra of one place, up to which a matrix
for each place, or for this one, is not worth its making."""


def find_e0(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor | None = None,
    window: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Find e0, the point of maximum slope, in eV, shape `batch`.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`, energies strictly ascending; or one grid for all spectra,
        `(points,)`, and no `valid`.
    window
        Lowest and highest admissible e0, each `batch`, eV; where no point is admissible
        or none is steep, the result is NaN.
    """
    if energy.dim() == 1:
        return _find_on_grid(grid_of(energy), mu.detach(), window)
    if valid is None:
        valid = torch.ones_like(mu, dtype=torch.bool)
    return _find(energy, mu, valid, window)


def half_step(energy: Tensor, flat: Tensor, valid: Tensor | None, e0: Tensor) -> Tensor:
    """Return where flattened μ rises through one half of the step, in eV, `batch`.

    The rise nearest to `e0` (`batch`), interpolated linearly; NaN where there is none.
    Shapes as for `find_e0`.
    """
    below, above = flat[:, :-1] < 0.5, flat[:, 1:] >= 0.5
    rising = below & above
    if valid is not None:
        rising = rising & valid[:, 1:]
    share = (0.5 - flat[:, :-1]) / flat.diff().where(rising, 1.0)
    crossing = energy[..., :-1] + share * energy.diff()
    distance = (crossing - e0.unsqueeze(-1)).abs().masked_fill(~rising, torch.inf)
    nearest = gather(crossing, distance.argmin(-1))
    return torch.where(rising.any(-1), nearest, torch.nan)


def _find(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    window: tuple[Tensor, Tensor] | None,
) -> Tensor:
    if energy.shape[-1] < _LEAST:
        return torch.full_like(energy[:, 0], torch.nan)
    mu = mu.to(energy.dtype)
    allowed = valid if window is None else valid & _within(energy, window)
    first = steepest(derivative(energy, mu, valid), valid, allowed)
    shifted, inside = around(first, valid)
    width = fine_step(energy, valid, first)
    energy, mu, valid = (t.gather(-1, shifted) for t in (energy, mu, valid))
    valid, allowed = valid & inside, allowed.gather(-1, shifted) & inside
    smoothed = smooth(energy, derivative(energy, mu, valid), valid, width)
    found = gather(energy, steepest(smoothed, valid, allowed))
    return torch.where(allowed.any(-1), found, torch.nan)


def _within(energy: Tensor, window: tuple[Tensor, Tensor]) -> Tensor:
    low, high = window
    return (energy >= low.unsqueeze(-1)) & (energy <= high.unsqueeze(-1))


@dataclass(frozen=True, slots=True, eq=False)
class _Refining:
    """The smoothed derivative at points `start` to `stop` as a matrix, acting on μ there.

    Its columns are continued to `_WIDTH` by a copy of one that may be the edge, so that
    results of different windows can be searched together.
    """

    start: int
    stop: int
    matrix: Tensor


def _find_on_grid(
    grid: Grid, mu: Tensor, window: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Find e0 on one grid, by matrices where several spectra share one."""
    energy, valid = grid.rows(len(mu))
    if len(grid) < _SHORTEST:
        return _find(energy, mu, valid, window)
    allowed = None if window is None else _within(energy, window)
    firsts = _firsts(grid, mu, allowed)
    one: list[int] = firsts[:1].tolist() if bool((firsts == firsts[:1]).all()) else []
    plan = _refining(grid, one[0], mu.dtype) if one else None
    if plan is not None and allowed is None:
        return _find_at_once(grid, plan, mu)
    order = firsts.argsort()
    smoothed, starts, stops = _smoothed(grid, mu, firsts, order)
    start = torch.tensor(starts, device=mu.device)
    width = torch.tensor(stops, device=mu.device) - start
    inside = None if allowed is None else _window(allowed[order], start, width)
    found = torch.empty_like(energy[:, 0])
    found[order] = grid.energy[start + _steepest_of(smoothed, width, inside)]
    if inside is not None:
        found[order] = torch.where(inside.any(-1), found[order], torch.nan)
    rest = order[width == 0]
    if len(rest):
        bounds = window and (window[0][rest], window[1][rest])
        found[rest] = _find(energy[rest], mu[rest], valid[rest], bounds)
    return found


def _smoothed(
    grid: Grid, mu: Tensor, firsts: Tensor, order: Tensor
) -> tuple[Tensor, list[int], list[int]]:
    """Return the smoothed derivative around `firsts`, `batch x _WIDTH`, in `order`.

    And the first and the last point of each row's part of the grid; both are the same
    where no matrix is worth its making.
    """
    places: list[int] = firsts[order].tolist()
    counts = Counter(places)
    plans = {
        at: _refining(grid, at, mu.dtype)
        for at, count in counts.items()
        if count > _FEW or len(counts) <= _FEW
    }
    made = [plan for plan in plans.values() if plan is not None]
    low = min((plan.start for plan in made), default=0)
    high = max((plan.stop for plan in made), default=0)
    near = mu[:, low:high] if len(counts) == 1 else mu[:, low:high][order]
    smoothed = mu.new_empty(len(mu), _WIDTH)
    starts, stops = list[int](), list[int]()
    for at, count in counts.items():
        rows = slice(len(starts), len(starts) + count)
        plan = plans.get(at) or _Refining(low, low, mu.new_zeros(0, _WIDTH))
        cut = near[rows, plan.start - low : plan.stop - low]
        torch.mm(cut, plan.matrix, out=smoothed[rows])
        starts += [plan.start] * count
        stops += [plan.stop] * count
    return smoothed, starts, stops


def _find_at_once(grid: Grid, plan: _Refining, mu: Tensor) -> Tensor:
    """Find e0 of spectra whose raw derivative is greatest at the same point."""
    smoothed = mu[:, plan.start : plan.stop] @ plan.matrix
    width = torch.full((len(mu),), plan.stop - plan.start, device=mu.device)
    return grid.energy[plan.start :][_steepest_of(smoothed, width, None)]


def _window(allowed: Tensor, start: Tensor, width: Tensor) -> Tensor:
    """Return where e0 may be among `width` points from `start`, `batch x _WIDTH`."""
    column = torch.arange(_WIDTH, device=start.device)
    index = (start.unsqueeze(-1) + column).clamp(max=allowed.shape[-1] - 1)
    return allowed.gather(-1, index) & (column < width.unsqueeze(-1) - _ENDS)


def _steepest_of(smoothed: Tensor, width: Tensor, allowed: Tensor | None) -> Tensor:
    """Return the index of the steepest of the first `width` points, `batch`."""
    best, sure = _peak(smoothed, _ENDS, allowed)
    best = torch.where(best < width, best, _ENDS)
    doubtful = ~sure
    if doubtful.any():
        column = torch.arange(_WIDTH, device=width.device)
        valid = column < width[doubtful].unsqueeze(-1)
        inside = valid if allowed is None else allowed[doubtful]
        best[doubtful] = steepest(smoothed[doubtful], valid, inside)
    return best


def _firsts(grid: Grid, mu: Tensor, allowed: Tensor | None) -> Tensor:
    """Return the steepest points of the raw derivative, `batch`."""
    steps, ends = _steps(grid, mu.dtype)
    slope = (mu[:, 2:] - mu[:, :-2]).div_(steps)
    index, sure = _peak(slope, ends - 1, None if allowed is None else allowed[:, 1:-1])
    index = index + 1
    if not sure.all():
        doubtful = ~sure
        energy, valid = grid.rows(int(doubtful.sum()))
        slope = derivative(energy, mu[doubtful].to(energy.dtype), valid)
        inside = valid if allowed is None else allowed[doubtful]
        index[doubtful] = steepest(slope, valid, inside)
    return index


def _peak(values: Tensor, ends: int, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return where values are greatest, and whether `steepest` would say the same.

    It does where the neighbours are steep by its first threshold. `ends` points at
    either end are left out.
    """
    inner = values[:, ends : values.shape[-1] - ends]
    low = inner.amin(-1)
    if allowed is not None:
        keep = allowed[:, ends : values.shape[-1] - ends]
        inner = inner.masked_fill(~keep, -torch.inf)
    high, best = inner.max(-1)
    best = best + ends
    around_it = torch.stack((best - 1, best, best + 1), -1)
    beside = values.gather(-1, around_it)
    height = (high - low).clamp(min=_TINY_RANGE).unsqueeze(-1)
    relative = (beside - low.unsqueeze(-1)) / height
    return best, (relative > STEEP[0]).all(-1) & high.isfinite()


@lru_cache(maxsize=64)
def _steps(grid: Grid, dtype: torch.dtype) -> tuple[Tensor, int]:
    """Return the distances of each inner point's neighbours, and the margin."""
    ends = margin(torch.tensor(len(grid)))
    return (grid.energy[2:] - grid.energy[:-2]).to(dtype), int(ends)


@lru_cache(maxsize=128)
def _refining(grid: Grid, first: int, dtype: torch.dtype) -> _Refining | None:
    """Build the matrix around the point `first`; None where it would be too large."""
    energy, valid = grid.rows(1)
    at = torch.tensor([first], device=energy.device)
    shifted, inside = around(at, valid)
    start, count = int(shifted[0, 0]), int(inside.sum())
    if count > _WIDTH:
        return None
    width = fine_step(energy, valid, at).expand(count)
    energy, valid = (
        t[:, start : start + count].expand(count, -1) for t in (energy, valid)
    )
    units = torch.eye(count, dtype=energy.dtype, device=energy.device)
    matrix = smooth(energy, derivative(energy, units, valid), valid, width)
    beyond = matrix[:, _ENDS : _ENDS + 1].expand(-1, _WIDTH - count + _ENDS)
    matrix = torch.cat((matrix[:, : count - _ENDS], beyond), -1)
    return _Refining(start, start + count, matrix.to(dtype).contiguous())
