"""The spline under χ(k) as a linear least-squares problem, as larch's `autobk` poses it.

With e0 and the knots fixed, the background is Σ cⱼ Bⱼ(k) and χ = S μ - B c, S being the
interpolating spline onto the uniform grid. c minimizes

    |F W χ|² + w² |C χ|²,    w = 0.1 + 10·mean((F W χ)²)

F W: the components of k-weighted, windowed χ below `rbkg`; C: the clamped points at the
ends. At its minimum this is the linear problem of weight λ = w²/(1 + 20 w |C χ|²/m), m
being the number of components, so one linear solve at w = 0.1 and a rotation in which
each further λ costs a division per clamped point are all there is to do.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from xasnn_stream.physics.exafs.spline import MIN_POINTS, LocalBasis, basis
from xasnn_stream.physics.exafs.wavenumber import (
    above_edge_ev,
    grid_points,
    uniform_grid,
    wavenumber,
)
from xasnn_stream.physics.exafs.window import window
from xasnn_stream.physics.ragged import index_at_or_below
from xasnn_stream.physics.settings import Background

_FEWEST_KNOTS, _MOST_KNOTS = 5, 128
ORDER = 4
_COMPONENT_STEP = 0.05
"""larch scales the components of the fit by this step whatever `kstep` is."""

BASE_WEIGHT, _WEIGHT_PER_MEAN = 0.1, 10.0
_REWEIGHTINGS = 3

_RIDGE = 1e-13
"""Keeps more knots than components solvable; the refinement undoes it otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Knots:
    """Where each row's data and background spline lie; shapes with `rows` first.

    `k` and `inside` (`rows x above`) are the points from e0 on, those the splines use a
    prefix; `first` is the index of e0's point in the row. `grid` is k of χ, of which a
    row reaches `points`; `weights` (`rows x grid`) are W; `components` are Fourier
    components below rbkg; `usable` says that there are points enough for the knots.
    """

    k: Tensor
    inside: Tensor
    first: Tensor
    kmax: Tensor
    grid: Tensor
    points: Tensor
    weights: Tensor
    knots: Tensor
    functions: Tensor
    components: Tensor
    usable: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The problem solved at the base weight, for any right side.

    `functions` are B at the points of the grid; `system` is F W B over w C B; `factor` is
    the Cholesky factor of the scaled normal equations, `scale` their scale per function.
    `rotation` (`rows x clamped x clamped`) diagonalizes C B (BᵀB)⁻¹ BᵀCᵀ, `spread` its
    diagonal; `step` (`rows x functions x clamped`) moves c along these directions.
    """

    functions: LocalBasis
    system: Tensor
    factor: Tensor
    scale: Tensor
    rotation: Tensor
    spread: Tensor
    step: Tensor


def place_knots(
    energy: Tensor, valid: Tensor, e0: Tensor, settings: Background, kmax: Tensor | None
) -> Knots:
    """Find k, grid and knots of every row by larch's rules.

    `energy` and `valid` are `rows x points`; `e0` and `kmax` (an upper limit beside the
    settings' own) are `rows`.
    """
    count = valid.sum(-1)
    known = e0.isfinite() & (e0 >= energy[:, 0]) & (count >= MIN_POINTS)
    e0 = torch.where(known, e0, energy[:, 0])
    first = index_at_or_below(energy, valid, e0)
    above = torch.arange(int((count - first).max()), device=energy.device)
    index = (first.unsqueeze(-1) + above).minimum(count.unsqueeze(-1) - 1)
    relative = energy.gather(-1, index) - e0.unsqueeze(-1)
    k = wavenumber(relative)
    measured = above < (count - first).unsqueeze(-1)
    limit = k.amax(-1)
    if settings.kmax is not None:
        limit = limit.clamp(max=max(settings.kmax, 0))
    if kmax is not None:
        limit = limit.minimum(torch.where(kmax > 0, kmax, torch.inf))
    end = index_at_or_below(relative, measured, above_edge_ev(limit))
    inside = measured & (above < (end + 2).unsqueeze(-1))
    grid_size = grid_points(limit, settings.kstep)
    grid = uniform_grid(int(grid_size.max()), settings.kstep, energy.device)
    lower = torch.full_like(limit, settings.kmin)
    weights = window(grid, lower, limit, settings.dk, None, settings.win, grid_size)
    weights = weights * grid.pow(settings.kweight)
    knots, functions, ascending = _knots(k, measured, limit, settings)
    usable = (
        known & ascending & (inside.sum(-1) >= MIN_POINTS) & (limit > settings.kmin)
    )
    spacing = math.pi / (settings.kstep * settings.nfft)
    span = (limit - settings.kmin).clamp(min=settings.kstep)
    components = 1 + (_functions(span, settings) - 1) * math.pi / (2 * spacing * span)
    return Knots(
        k, inside, first, limit, grid, grid_size, weights, knots, functions,
        components.long(), usable,
    )  # fmt: skip


def _functions(span: Tensor, settings: Background) -> Tensor:
    """Return how many functions Nyquist's theorem allows below rbkg, before bounds."""
    lowest = 2 * math.pi / (settings.kstep * settings.nfft)
    return 1 + (2 * max(settings.rbkg, lowest) * span / math.pi).long()


def _knots(
    k: Tensor, measured: Tensor, kmax: Tensor, settings: Background
) -> tuple[Tensor, Tensor, Tensor]:
    """Return knots (measured points nearest to equal steps), functions, and validity."""
    span = kmax - settings.kmin
    functions = _functions(span.clamp(min=0), settings)
    if settings.nknots is not None:
        functions = torch.full_like(functions, settings.nknots)
    functions = functions.clamp(_FEWEST_KNOTS, _MOST_KNOTS)
    place = torch.arange(int(functions.max()), device=k.device)
    place = place.minimum(functions.unsqueeze(-1) - 1)
    wanted = place * span.unsqueeze(-1) / (functions - 1).unsqueeze(-1) + settings.kmin
    sites = _nearest(k, measured, wanted)
    used = torch.arange(place.shape[-1], device=k.device) < functions.unsqueeze(-1)
    ascending = ((sites.diff() > 0) | ~used[:, 1:]).all(-1)
    inner = sites[:, 2:-2].minimum(sites[:, -1:])
    # The last two sites of a row are no knots, wherever its functions end.
    position = torch.arange(2, sites.shape[-1] - 2, device=k.device)
    inner = torch.where(position < (functions - 2).unsqueeze(-1), inner, sites[:, -1:])
    ends = sites[:, :1].expand(-1, ORDER), sites[:, -1:].expand(-1, ORDER)
    return torch.cat((ends[0], inner, ends[1]), -1), functions, ascending


def _nearest(k: Tensor, measured: Tensor, wanted: Tensor) -> Tensor:
    """Return the measured k nearest to each wanted one, the lower of two as near."""
    right = torch.searchsorted(
        k.masked_fill(~measured, torch.inf).contiguous(), wanted.contiguous()
    )
    last = measured.sum(-1, keepdim=True) - 1
    right = right.clamp(min=1).minimum(last.clamp(min=1))
    low, high = k.gather(-1, right - 1), k.gather(-1, right)
    return torch.where(wanted - low <= high - wanted, low, high)


@lru_cache(maxsize=64)
def _transform_rows(
    components: int, points: int, nfft: int, device: torch.device
) -> Tensor:
    """Return F without weights: cos, then -sin, `2 components x points`, float64."""
    index = torch.arange(components, device=device).unsqueeze(-1)
    index = index * torch.arange(points, device=device)
    phase = (index % nfft).to(torch.float64) * (2 * math.pi / nfft)
    scale = _COMPONENT_STEP / math.sqrt(math.pi)
    return torch.cat((phase.cos(), -phase.sin())) * scale


def components_of(chi: Tensor, knots: Knots, settings: Background) -> Tensor:
    """Return F W χ of `rows x grid x n` (χ in columns), `rows x 2 components x n`."""
    return _transformed((chi * knots.weights.unsqueeze(-1)).mT, knots, settings)


def _transformed(weighted: Tensor, knots: Knots, settings: Background) -> Tensor:
    """Return F times the rows of `rows x n x grid`, `rows x 2 components x n`."""
    most = int(knots.components.max())
    rows = _transform_rows(most, len(knots.grid), settings.nfft, weighted.device)
    below = torch.arange(most, device=weighted.device) < knots.components.unsqueeze(-1)
    # One product for all rows and columns, not one per row.
    result = weighted.reshape(-1, weighted.shape[-1]) @ rows.T
    result = result.reshape(*weighted.shape[:2], -1)
    return (result * torch.cat((below, below), -1).unsqueeze(1)).mT


def clamps_of(chi: Tensor, knots: Knots, settings: Background) -> Tensor:
    """Return C χ of `rows x grid x n`: the weighted points at either end, where held."""
    index, weights = _clamped(knots, settings)
    at = chi.gather(1, index.unsqueeze(-1).expand(-1, -1, chi.shape[-1]))
    return weights.unsqueeze(-1) * at


def _clamped(knots: Knots, settings: Background) -> tuple[Tensor, Tensor]:
    """Return which points of the grid are held to zero, `rows x clamped`, and weights."""
    near = torch.arange(settings.nclamp, device=knots.grid.device)
    low = near.expand(len(knots.points), -1)
    high = knots.points.unsqueeze(-1) - settings.nclamp + near
    held = [
        (ends, abs(weight))
        for ends, weight in ((low, settings.clamp_lo), (high, settings.clamp_hi))
        if weight != 0
    ] or [(low[:, :0], 0.0)]
    index = torch.cat([ends for ends, _ in held], 1)
    weights = [knots.grid.new_full((ends.shape[1],), weight) for ends, weight in held]
    return index.clamp(min=0, max=len(knots.grid) - 1), torch.cat(weights)


def solve_base(knots: Knots, settings: Background) -> Fit:
    """Factor the problem at the base weight; rows that are not usable get the identity."""
    functions = basis(knots.grid, knots.knots, knots.functions)
    most = knots.knots.shape[-1] - ORDER
    index, weights = _clamped(knots, settings)
    clamped = functions.at(index).dense(most) * weights.unsqueeze(-1)
    weighted = functions.weighted(knots.weights).dense(most).mT
    components = _transformed(weighted, knots, settings)
    system = torch.cat((components, BASE_WEIGHT * clamped), 1)
    present = torch.arange(most, device=system.device)
    present = (present < knots.functions.unsqueeze(-1)) & knots.usable.unsqueeze(-1)
    # Not by a product: functions of a row without ascending knots are not finite.
    system = system.where(present.unsqueeze(1), 0.0)
    clamped = clamped.where(present.unsqueeze(1), 0.0)
    size = system.square().sum(1).sqrt()
    scale = torch.where(size > 0, 1 / size, 0.0)
    scaled = system * scale.unsqueeze(1)
    normal = scaled.mT @ scaled
    normal = normal + torch.diag_embed((scale == 0).to(scale.dtype) + _RIDGE)
    factor, _ = torch.linalg.cholesky_ex(normal)
    return _with_clamps(functions, system, factor, scale, clamped)


def _with_clamps(
    functions: LocalBasis,
    system: Tensor,
    factor: Tensor,
    scale: Tensor,
    clamped: Tensor,
) -> Fit:
    clamped = (clamped * scale.unsqueeze(1)).mT
    across = torch.linalg.solve_triangular(factor, clamped, upper=False)
    spread, rotation = torch.linalg.eigh(across.mT @ across)
    step = torch.linalg.solve_triangular(factor.mT, across @ rotation, upper=True)
    step = step * scale.unsqueeze(-1)
    return Fit(
        functions, system, factor, scale, rotation, spread.clamp(min=0), step
    )  # fmt: skip


def coefficients(fit: Fit, measured: Tensor) -> Tensor:
    """Return c at the base weight; `measured` is F W S μ over w C S μ, `rows x m x n`."""
    found = _normal_solve(fit, measured)
    # One refinement by the true residual undoes what the normal equations lose.
    return found + _normal_solve(fit, measured - fit.system @ found)


def _normal_solve(fit: Fit, measured: Tensor) -> Tensor:
    right = (fit.system.mT @ measured) * fit.scale.unsqueeze(-1)
    return torch.cholesky_solve(right, fit.factor) * fit.scale.unsqueeze(-1)


def reweight(
    clamped: Tensor, components: Tensor, number: Tensor | int, spread: Tensor
) -> Tensor:
    """Return by how much to move along the directions of the clamps, `rows x clamped`.

    Parameters
    ----------
    clamped
        C χ at the base weight, rotated, `rows x clamped`.
    components
        |F W χ|² at the base weight, `rows`.
    number
        How many components that is.
    spread
        Diagonal of the rotated clamps.
    """
    base = BASE_WEIGHT**2
    extra = torch.zeros_like(clamped[..., :1])
    constant = components + base * clamped.square().sum(-1)
    for _ in range(_REWEIGHTINGS):
        left = (clamped / (1 + extra * spread)).square()
        held = left.sum(-1)
        size = constant + (left * (extra.square() * spread - base)).sum(-1)
        weight = BASE_WEIGHT + _WEIGHT_PER_MEAN * size.clamp(min=0) / number
        slope = 1 + 2 * _WEIGHT_PER_MEAN * weight * held / number
        extra = (weight.square() / slope - base).unsqueeze(-1)
    return extra * clamped / (1 + extra * spread)
