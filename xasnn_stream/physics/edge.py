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
from xasnn_stream.physics.ragged import gather
from xasnn_stream.physics.slope import (
    STEEP,
    around,
    derivative,
    fine_step,
    margin,
    smooth,
    steepest,
)

_LEAST = 7
"""Points of which one is not among the three at either end, which are never the edge."""
_SHORTEST = 20
"""Points below which a common grid is not worth its operators."""
_WIDEST = 512
"""Points above which a smoothing matrix is not worth its memory."""
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
        return _find_on_grid(grid_of(energy), mu, window)
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
    """The smoothed derivative at points `start` to `stop` as a matrix, acting on μ."""

    start: int
    stop: int
    ends: int
    matrix: Tensor


def _find_on_grid(
    grid: Grid, mu: Tensor, window: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Find e0 on one grid: by matrices where the edge is clear, else as `_find` does."""
    if len(grid) < _SHORTEST:
        energy, valid = grid.rows(len(mu))
        return _find(energy, mu, valid, window)
    allowed = None if window is None else _within(grid.energy, window)
    firsts: list[int] = _firsts(grid, mu, allowed).tolist()
    places = Counter(firsts)
    if len(places) > _FEW:
        places = {at: rows for at, rows in places.items() if rows > _FEW}
    plans = {at: _refining(grid, at, mu.dtype) for at in places}
    plans = {at: plan for at, plan in plans.items() if plan is not None}
    if len(plans) == 1 and len(places) == len(set(firsts)):
        return _refine(grid, next(iter(plans.values())), mu, allowed)
    found = torch.empty(len(mu), dtype=grid.energy.dtype, device=mu.device)
    rest = torch.ones(len(mu), dtype=torch.bool, device=mu.device)
    for at, plan in plans.items():
        rows = torch.tensor([here == at for here in firsts], device=mu.device)
        inside = None if allowed is None else allowed[rows]
        found[rows] = _refine(grid, plan, mu[rows], inside)
        rest &= ~rows
    if rest.any():
        bounds = window and (window[0][rest], window[1][rest])
        energy, valid = grid.rows(int(rest.sum()))
        found[rest] = _find(energy, mu[rest], valid, bounds)
    return found


def _firsts(grid: Grid, mu: Tensor, allowed: Tensor | None) -> Tensor:
    """Return the steepest points of the raw derivative, `batch`."""
    steps, ends = _steps(grid, mu.dtype)
    slope = (mu[:, 2:] - mu[:, :-2]) / steps
    index, sure = _peak(slope, ends - 1, None if allowed is None else allowed[:, 1:-1])
    index = index + 1
    if not sure.all():
        doubtful = ~sure
        energy, valid = grid.rows(int(doubtful.sum()))
        slope = derivative(energy, mu[doubtful].to(energy.dtype), valid)
        inside = valid if allowed is None else allowed[doubtful]
        index[doubtful] = steepest(slope, valid, inside)
    return index


def _refine(
    grid: Grid, refining: _Refining, mu: Tensor, allowed: Tensor | None
) -> Tensor:
    """Return e0 of spectra whose raw derivative is greatest at the same point."""
    cut = slice(refining.start, refining.stop)
    smoothed = mu[:, cut] @ refining.matrix
    inside = None if allowed is None else allowed[:, cut]
    best, sure = _peak(smoothed, refining.ends, inside)
    if not sure.all():
        everywhere = torch.ones_like(smoothed, dtype=torch.bool)
        inside = everywhere if inside is None else inside
        best = torch.where(sure, best, steepest(smoothed, everywhere, inside))
    found = grid.energy[cut][best]
    if inside is not None:
        found = torch.where(inside.any(-1), found, torch.nan)
    return found


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
    if count > _WIDEST:
        return None
    width = fine_step(energy, valid, at).expand(count)
    energy, valid = (
        t[:, start : start + count].expand(count, -1) for t in (energy, valid)
    )
    units = torch.eye(count, dtype=energy.dtype, device=energy.device)
    matrix = smooth(energy, derivative(energy, units, valid), valid, width)
    ends = int(margin(torch.tensor(count)))
    return _Refining(start, start + count, ends, matrix.to(dtype))
