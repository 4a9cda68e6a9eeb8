"""Noise of μ propagated to χ(k) and χ(R).

At fixed e0, knots and weight of the clamps the background is a linear least-squares fit,
so χ = L μ / edge step, with a matrix L per energy grid. For independent points of
variance v, var χ = (L∘L) v / step², and with the error of the edge step itself

    step² var χ = (L∘L) v - 2 χ L (v∘s) + χ² (s∘s)·v,     s = ∂step/∂μ

Of the weight of the clamps it takes that of a good fit (larch's 0.1); the weight grows
with what the fit leaves below rbkg.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.exafs.background_fit import (
    BASE_WEIGHT,
    Knots,
    clamps_of,
    coefficients,
    components_of,
    place_knots,
    solve_base,
)
from xasnn_stream.physics.exafs.fourier import xftf
from xasnn_stream.physics.exafs.spline import evaluate, second_derivatives, segments
from xasnn_stream.physics.grid import Grid, grid_of
from xasnn_stream.physics.settings import Background, Transform

_APART = 48
"""Points between those that one spline probes together: the effect of a point on the
spline falls to a quarter with each further point, and to a half at worst."""
_POINTS_AT_ONCE = 4096
"""Points of rows that are worked on together: a matrix takes some hundred per point."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseOfChi:
    """Standard deviations of χ(k) (`batch x nk`) on `k` (`nk`), 0 beyond a row's kmax.

    A row whose scan is too short for its background is NaN, as its χ is.
    """

    k: Tensor
    std: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class NoiseOfTransform:
    """Standard deviations of the parts of χ(R), `batch x nr`, on `r` (`nr`, angstrom).

    Where no atoms are seen both are what `estimate_noise` calls `epsilon_r`.
    """

    r: Tensor
    real: Tensor
    imaginary: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ChiOfMu:
    """The linear map L from μ to χ times edge step; a row per spectrum, or one for all.

    `matrix` is `rows x nk x points`; on `k` (`nk`) it is zero beyond a row's kmax, and
    NaN where a scan is too short for its background.
    """

    k: Tensor
    matrix: Tensor


def propagate_chi(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor | None,
    sigma: Tensor,
    e0: Tensor,
    edge_step: Tensor,
    settings: Background,
    kmax: Tensor | None = None,
    step_per_mu: Tensor | None = None,
) -> NoiseOfChi:
    """Propagate the noise of independent points of μ to χ(k).

    Parameters
    ----------
    energy, mu, valid, e0, edge_step, settings, kmax
        As given to `autobk`; on a common grid, `(points,)` with valid None, spectra of
        one e0 share their matrix, which is many times faster.
    sigma
        Standard deviation of each point of μ, `batch x points`.
    step_per_mu
        `Normalized.edge_step_per_mu`, for the edge step's own error, which scales all of
        χ; without it the edge step counts as known.
    """
    variance = _squared(sigma, valid)
    parts: list[tuple[Tensor, Tensor]] = []
    grid = energy[:0]
    for rows, of in _maps(energy, valid, e0, settings, kmax):
        found = _variance(of.matrix, variance[rows])
        if step_per_mu is not None:
            slope = step_per_mu[rows].to(torch.float64)
            chi = _apply(of.matrix, mu[rows]) / edge_step[rows].unsqueeze(-1)
            shared = _apply(of.matrix, variance[rows] * slope)
            own = (slope.square() * variance[rows]).sum(-1, keepdim=True)
            found = found - 2 * chi * shared + chi.square() * own
        parts.append((rows, found))
        grid = max(grid, of.k, key=len)
    std = variance.new_zeros(len(mu), len(grid))
    for rows, found in parts:
        std[rows] = functional.pad(found, (0, len(grid) - found.shape[-1]))
    std = std.clamp(min=0).sqrt() / edge_step.abs().unsqueeze(-1)
    return NoiseOfChi(grid, std.to(mu.dtype))


def propagate_chir(
    energy: Tensor,
    valid: Tensor | None,
    sigma: Tensor,
    e0: Tensor,
    edge_step: Tensor,
    settings: Background,
    transform: Transform,
    kmax: Tensor | None = None,
) -> NoiseOfTransform:
    """Propagate the noise of independent points of μ to χ(R); the edge step is known.

    Arguments as for `propagate_chi`, and the forward transform's settings.
    """
    variance = _squared(sigma, valid)
    real, imaginary, r = [], [], energy[:0]
    for rows, of in _maps(energy, valid, e0, settings, kmax):
        columns = of.matrix.mT
        forward = xftf(of.k, columns, transform)
        r = forward.r
        step = edge_step[rows].abs().unsqueeze(-1)
        for part, chir in ((real, forward.chir.real), (imaginary, forward.chir.imag)):
            part.append((rows, _variance(chir.mT, variance[rows]).sqrt() / step))
    joined = [variance.new_empty(len(variance), len(r)) for _ in range(2)]
    for whole, part in zip(joined, (real, imaginary), strict=True):
        for rows, found in part:
            whole[rows] = found
    return NoiseOfTransform(r, *(whole.to(sigma.dtype) for whole in joined))


def _squared(sigma: Tensor, valid: Tensor | None) -> Tensor:
    """Return variances, float64, with none where there are no points."""
    variance = sigma.to(torch.float64).square()
    return variance if valid is None else torch.where(valid, variance, 0.0)


def _variance(matrix: Tensor, variance: Tensor) -> Tensor:
    """Return diag(L diag(v) Lᵀ) for L `rows x n x points` (or one row) and v of rows."""
    return _apply(matrix.square(), variance)


def _apply(matrix: Tensor, values: Tensor) -> Tensor:
    """Return L x of each row, `rows x n`."""
    if matrix.shape[0] == 1:
        return values.to(matrix) @ matrix[0].T
    return (matrix @ values.to(matrix).unsqueeze(-1)).squeeze(-1)


def _maps(
    energy: Tensor,
    valid: Tensor | None,
    e0: Tensor,
    settings: Background,
    kmax: Tensor | None,
) -> Iterator[tuple[Tensor, ChiOfMu]]:
    """Yield which rows have which map."""
    if energy.dim() == 2:
        valid = torch.ones_like(energy, dtype=torch.bool) if valid is None else valid
        together = max(_POINTS_AT_ONCE // energy.shape[-1], 1)
        for rows in torch.arange(len(e0), device=e0.device).split(together):
            limit = None if kmax is None else kmax[rows]
            yield rows, chi_of_mu(energy[rows], valid[rows], e0[rows], settings, limit)
        return
    grid = grid_of(energy)
    limits = torch.zeros_like(e0) if kmax is None else kmax.to(e0).nan_to_num()
    places = torch.stack((e0, limits), -1)
    different, which = places.unique(dim=0, return_inverse=True)
    for number, (at, limit) in enumerate(different.tolist()):
        yield (
            (which == number).nonzero().squeeze(-1),
            _on_grid(grid, at, limit, settings),
        )


@lru_cache(maxsize=16)
def _on_grid(grid: Grid, e0: float, kmax: float, settings: Background) -> ChiOfMu:
    energy, valid = grid.rows(1)
    limit = energy.new_tensor([kmax])
    return chi_of_mu(energy, valid, energy.new_tensor([e0]), settings, limit)


def chi_of_mu(
    energy: Tensor,
    valid: Tensor,
    e0: Tensor,
    settings: Background,
    kmax: Tensor | None = None,
) -> ChiOfMu:
    """Return the matrix that turns μ into χ times edge step, as `autobk` does.

    Arguments as for `autobk`, `rows x points`; a row takes nk x points numbers.
    """
    knots = place_knots(energy, valid, e0.to(energy), settings, kmax)
    spline = _interpolation(knots)
    fit = solve_base(knots, settings)
    measured = (
        components_of(spline, knots, settings),
        BASE_WEIGHT * clamps_of(spline, knots, settings),
    )
    on_grid = fit.functions.dense(fit.system.shape[-1])
    above = spline - on_grid @ coefficients(fit, torch.cat(measured, 1))
    reached = torch.arange(len(knots.grid), device=energy.device)
    above = above * (reached < knots.points.unsqueeze(-1)).unsqueeze(-1)
    above = above.masked_fill(~knots.usable.reshape(-1, 1, 1), torch.nan)
    return ChiOfMu(knots.grid, _from_first(above, knots.first, energy.shape[-1]))


def _interpolation(knots: Knots) -> Tensor:
    """Return the interpolating spline's weights of points, `rows x nk x above`.

    Points far enough apart are probed together, for each moves the spline only nearby.
    """
    k, inside = knots.k.unsqueeze(1), knots.inside.unsqueeze(1)
    index = torch.arange(k.shape[-1], device=k.device)
    start = torch.arange(_APART, device=k.device).unsqueeze(-1)
    probes = (((index % _APART) == start) & inside).to(k.dtype)
    where = segments(knots.grid, k, inside)
    response = evaluate(where, probes, second_derivatives(k, probes, inside))
    away = index - where.left.mT
    near = (away > -_APART // 2) & (away <= _APART // 2)
    return response.mT[..., index % _APART] * near


def _from_first(matrix: Tensor, first: Tensor, points: int) -> Tensor:
    """Move columns that count from e0's point to columns that count from the first."""
    width = matrix.shape[-1]
    index = first.unsqueeze(-1) + torch.arange(width, device=matrix.device)
    # Columns beyond a row's data are zero and may fall anywhere.
    index = index.clamp(max=points - 1).unsqueeze(1).expand(matrix.shape)
    whole = matrix.new_zeros(*matrix.shape[:-1], points)
    return whole.scatter_add(-1, index, matrix)
