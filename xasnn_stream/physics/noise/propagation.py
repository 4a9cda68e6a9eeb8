"""Noise of μ propagated to the edge step and to normalized and flattened μ.

At fixed e0 the pre-edge line, the post-edge curve and the edge step are linear in μ and
have few coefficients q = Q μ. With these a normalized curve n changes by

    dn_i = (dμ_i - G_i dq) / s,     G_i = A_i + h_i c

where A holds the functions of line and curve that are taken off at point i, c = ∂s/∂q
the edge step's share, and h the curve's height over what is 0 at any scale (n below the
edge, n - 1 above it when flattened). The errors of line, curve and step are those of the
points themselves, so for independent points of variance v the variance is exactly

    s² var n_i = v_i - 2 v_i G_i·Q_i + G_iᵀ S G_i,     S = Q diag(v) Qᵀ

That e0 is itself found in the noise is no linear matter and is left out: e0 moves from
one measured point to another or does not move at all.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from xasnn_stream.physics.grid import Grid, grid_of
from xasnn_stream.physics.normalization.normalize import Normalized
from xasnn_stream.physics.normalization.polynomial import Fit
from xasnn_stream.physics.normalization.ranges import line_degree
from xasnn_stream.physics.ragged import index_nearest
from xasnn_stream.physics.settings import Normalization

_LINE, _CURVE = 2, 4
"""Coefficients of the pre-edge line and of the post-edge polynomial."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseOfNormalized:
    """Standard deviations: `step` (`batch`, in units of μ), `norm` and `flat`.

    The curves are `batch x points` in units of the edge step; padding has no meaning. A
    row without e0 is NaN.
    """

    step: Tensor
    norm: Tensor
    flat: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """The coefficients q = Q μ and what they do; a row per spectrum, or one for all.

    `q` is `rows x coefficients x points`, `basis` `rows x points x coefficients` (the
    pre-edge line's first), `step` is c, `rows x coefficients`; `behind` (`rows x
    points`) is True from e0 on, where flattening takes the post-edge curve off.
    """

    q: Tensor
    basis: Tensor
    step: Tensor
    behind: Tensor


def propagate_normalized(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor | None,
    sigma: Tensor,
    normalized: Normalized,
    settings: Normalization,
) -> NoiseOfNormalized:
    """Propagate the noise of independent points through the normalization.

    Parameters
    ----------
    energy, mu, valid
        As given to `normalize`: `batch x points`, or a common grid `(points,)` with
        valid None.
    sigma
        Standard deviation of each point of μ, `batch x points`.
    normalized, settings
        What `normalize` returned and what it was told; e0 counts as known.
    """
    dtype, variance = mu.dtype, sigma.to(torch.float64).square()
    if energy.dim() == 2:
        valid = torch.ones_like(mu, dtype=torch.bool) if valid is None else valid
        variance = torch.where(valid, variance, 0.0)
        linear = _linear(energy, valid, _ranges(normalized), settings.nvict)
        curves = normalized.edge_step, normalized.norm, normalized.flat
        found = _propagate(linear, variance, *curves)
    else:
        found = _on_common_grid(energy, variance, normalized, settings)
    step, norm, flat = (part.clamp(min=0).sqrt().to(dtype) for part in found)
    lost = normalized.e0.isnan()
    return NoiseOfNormalized(
        step.masked_fill(lost, torch.nan),
        norm.masked_fill(lost.unsqueeze(-1), torch.nan),
        flat.masked_fill(lost.unsqueeze(-1), torch.nan),
    )


def total_step_std(step: Tensor, noise: Tensor, spread: Tensor) -> Tensor:
    """Return the edge step's standard deviation, noise and systematic, `batch`.

    `noise` is in units of the step's, `spread` relative to the step: its spread over
    admissible pre- and post-edge ranges, as `step_spread` gives it.
    """
    return (noise.square() + (step * spread).square()).sqrt()


_Variances = tuple[Tensor, Tensor, Tensor]
"""Of step (`batch`), norm and flat (`batch x points`)."""


def _on_common_grid(
    energy: Tensor, variance: Tensor, normalized: Normalized, settings: Normalization
) -> _Variances:
    """Propagate together what has the same e0 and ranges."""
    step = torch.empty_like(variance[:, 0])
    norm, flat = torch.empty_like(variance), torch.empty_like(variance)
    grid = grid_of(energy)
    ranges = torch.stack([part.to(energy.dtype) for part in _ranges(normalized)], -1)
    different, which = ranges.unique(dim=0, return_inverse=True)
    for number, group in enumerate(different.tolist()):
        rows = which == number if len(different) > 1 else slice(None)
        linear = _linear_on_grid(grid, tuple(group), settings.nvict)
        heights = (
            normalized.edge_step[rows],
            normalized.norm[rows],
            normalized.flat[rows],
        )
        found = _propagate(linear, variance[rows], *heights)
        step[rows], norm[rows], flat[rows] = found
    return step, norm, flat


@lru_cache(maxsize=256)
def _linear_on_grid(grid: Grid, ranges: tuple[float, ...], nvict: int) -> _Linear:
    energy, valid = grid.rows(1)
    return _linear(energy, valid, energy.new_tensor([ranges]).unbind(-1), nvict)


def _propagate(
    linear: _Linear, variance: Tensor, edge_step: Tensor, norm: Tensor, flat: Tensor
) -> _Variances:
    """Return the variances of step and curves from those of points."""
    q, basis, step = linear.q, linear.basis, linear.step.unsqueeze(-1)
    spread = _covariance(q, variance)
    of_step = spread @ step
    step_variance = (of_step * step).sum((-1, -2))
    scale = edge_step.unsqueeze(-1).to(variance.dtype)
    own_step = (q.transpose(-1, -2) @ step).squeeze(-1)

    def curve(height: Tensor, columns: int) -> Tensor:
        taken = basis[..., :columns]
        own = (taken * q[:, :columns].transpose(-1, -2)).sum(-1) + height * own_step
        noise = _quadratic(taken, spread[:, :columns, :columns])
        with_step = _combine(taken, of_step[:, :columns])
        shared = height * (2 * with_step + height * step_variance.unsqueeze(-1))
        return (variance * (1 - 2 * own) + noise + shared) / scale.square()

    below = curve(norm.to(variance.dtype), _LINE)
    flattened = curve(flat.to(variance.dtype) - 1, _LINE + _CURVE)
    return step_variance, below, torch.where(linear.behind, flattened, below)


def _covariance(q: Tensor, variance: Tensor) -> Tensor:
    """Return S = Q diag(v) Qᵀ, `batch x coefficients x coefficients`."""
    if q.shape[0] != 1:
        return (q * variance.unsqueeze(1)) @ q.transpose(-1, -2)
    pairs = (q[0].unsqueeze(0) * q[0].unsqueeze(1)).flatten(0, 1)
    return (variance @ pairs.T).unflatten(-1, (q.shape[1], -1))


def _quadratic(basis: Tensor, spread: Tensor) -> Tensor:
    """Return A_iᵀ S A_i at every point, `batch x points`."""
    if basis.shape[0] != 1:
        return ((basis @ spread) * basis).sum(-1)
    pairs = (basis[0].unsqueeze(1) * basis[0].unsqueeze(2)).flatten(1)
    return spread.flatten(1) @ pairs.T


def _combine(basis: Tensor, of: Tensor) -> Tensor:
    """Return A_i·x at every point, `batch x points`, of x `batch x coefficients x 1`."""
    if basis.shape[0] != 1:
        return (basis @ of).squeeze(-1)
    return of.squeeze(-1) @ basis[0].T


def _linear(
    energy: Tensor, valid: Tensor, ranges: Sequence[Tensor], nvict: int
) -> _Linear:
    """Return the coefficients of line and curve as `normalize` fits them."""
    e0, pre1, pre2, norm1, norm2, degree = ranges
    at_e0 = index_nearest(energy, valid, e0)
    flatness = line_degree(energy, valid, e0, pre1, pre2)
    line = Fit(energy, valid, e0 + pre1, e0 + pre2, flatness, highest=_LINE - 1)
    above = Fit(energy, valid, e0 + norm1, e0 + norm2, degree)
    power = ((energy / e0.unsqueeze(-1)) ** nvict).unsqueeze(-1)
    line_basis = line.basis() / power
    line_q = line.weights() * power.transpose(-1, -2)
    above_basis, above_q = above.basis(), above.weights()
    above_q = above_q - (above_q @ line_basis) @ line_q
    at = at_e0.reshape(-1, 1, 1).expand(-1, 1, _CURVE)
    of_step = above_basis.gather(1, at).squeeze(1)
    index = torch.arange(energy.shape[-1], device=energy.device)
    return _Linear(
        q=torch.cat((line_q, above_q), 1),
        basis=torch.cat((line_basis, above_basis), -1),
        step=torch.cat((torch.zeros_like(of_step[:, :_LINE]), of_step), -1),
        behind=index >= at_e0.unsqueeze(-1),
    )


def _ranges(normalized: Normalized) -> Sequence[Tensor]:
    """Return what determines the operators: e0, ranges (eV) and degree, `batch` each."""
    of = normalized
    return of.e0, of.pre1, of.pre2, of.norm1, of.norm2, of.nnorm
