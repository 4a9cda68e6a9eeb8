"""Denoising by penalized least squares with a smoothness chosen for each spectrum.

The curve z minimizes Σ (μ - z)² + λ ∫ (z''' / a)² du, u being the coordinate of
`stretch` and a its amplitude: stiff in k space, soft at the edge (P. Eilers, Anal. Chem.
75, 3631 (2003), on an uneven grid). λ is that of the least error to be expected by
Stein's unbiased estimate, the noise being known. Then the residual is smoothed by the
same filter and added back, which squares what the filter takes from the signal.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from typing import NamedTuple

import torch
from torch import Tensor

from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.grids import Kept, Rows, on_any_grid
from xasnn_stream.physics.denoise.levels import by_level
from xasnn_stream.physics.denoise.stretch import amplitude, natural_width, stretched

_ORDER = 3
_EDGE_WIDTH, _WIDTH_IN_K = 0.7, 0.3
"""In natural widths at the edge; 1/angstrom."""
_EDGE_AMPLITUDE = 0.5
_LOG10_SOFTNESS = (-4.5, 3.0, 46)
"""Logarithms of the λ that are tried: lowest, highest, how many. The lowest takes what
is narrower than a feature can be; an estimate of the error alone would keep the jitter
of an energy axis, which is none of the points' noise."""


_MOST_POINTS = 1200
"""A decomposition of more than these would take many seconds."""
_KNOTS_PER_WIDTH = 5
_TRACE = 1e-6


class _Modes(NamedTuple):
    """Curves of one roughness each: `vectors` `points x modes`, `roughness` `modes`."""

    vectors: Tensor
    roughness: Tensor


def _build(x: Tensor, e0: float) -> _Modes:
    u = stretched(x, _EDGE_WIDTH * natural_width(e0), _WIDTH_IN_K)
    size = amplitude(x, _EDGE_AMPLITUDE)
    if x.numel() > _MOST_POINTS:
        return _modes_of_splines(u, size)
    _, values, vectors = torch.linalg.svd(_differences(u, size), full_matrices=True)
    roughness = torch.cat((values, values.new_zeros(_ORDER))).square()
    return _Modes(vectors.T.contiguous(), roughness)


def _differences(u: Tensor, size: Tensor) -> Tensor:
    """Return the matrix of third derivatives at `u`, weighted; `points - 3 x points`."""
    matrix = torch.eye(u.numel(), dtype=u.dtype, device=u.device)
    for order in range(1, _ORDER + 1):
        span = u[order:] - u[:-order]
        matrix = order * matrix.diff(dim=0) / span.unsqueeze(-1)
    share = (u[_ORDER:] - u[:-_ORDER]) / _ORDER
    middle = size.unfold(0, _ORDER + 1, 1).mean(-1)
    return matrix * (share.sqrt() / middle).unsqueeze(-1)


def _modes_of_splines(u: Tensor, size: Tensor) -> _Modes:
    """Return the modes that cubic splines on an even grid of `u` can follow.

    A grid far finer than what any λ lets pass: what is not a spline on it is noise.
    """
    count = math.ceil(float(u[-1]) * _KNOTS_PER_WIDTH) + 1
    step = float(u[-1]) / (count - 1)
    knots = step * torch.arange(-1, count + 1, dtype=u.dtype, device=u.device)
    left = (u / step).floor().clamp(max=count - 2)
    t = u / step - left
    weights = torch.stack(
        ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 1 + 3 * t * (1 + t - t**2), t**3), -1
    )
    index = left.long().unsqueeze(-1) + torch.arange(4, device=u.device)
    splines = u.new_zeros(u.numel(), count + 2).scatter_(-1, index, weights / 6)
    nearest = torch.searchsorted(u, knots).clamp(max=u.numel() - 1)
    rough = _differences(knots, size[nearest])
    # Splines where there is no point are held by a trace of the penalty.
    upper = torch.linalg.qr(torch.cat((splines, _TRACE * rough))).R
    inverse = torch.linalg.inv(upper)
    _, values, vectors = torch.linalg.svd(rough @ inverse, full_matrices=True)
    roughness = torch.cat((values, values.new_zeros(_ORDER))).square()
    return _Modes(splines @ inverse @ vectors.T, roughness)


_operators = Kept(_build)


def _method(rows: Rows) -> Denoised:
    modes: _Modes = _operators(rows)
    found = rows.mu @ modes.vectors
    squared = modes.vectors.square()
    noise2 = rows.noise.square()
    highest2 = noise2.amax(-1)
    softness = _softness(found, modes.roughness, noise2 @ squared, highest2)

    def at_level(level: Tensor) -> tuple[Tensor, Tensor]:
        stiff = (softness * level.square() / highest2).unsqueeze(-1) * modes.roughness
        kept = 1 - (stiff / (1 + stiff)).square()
        return (kept * found) @ modes.vectors.T, kept.square() @ squared.T

    mean, variance = by_level(rows.noise, at_level)
    return Denoised(mean, rows.noise * variance.sqrt())


def _softness(
    found: Tensor, roughness: Tensor, noise2: Tensor, highest2: Tensor
) -> Tensor:
    """Return the λ (`rows`) of least expected error, by Stein's unbiased estimate.

    `found` and `noise2` are the modes and their noise squared, `rows x modes`; λ is that
    of the highest noise.
    """
    low, high, count = _LOG10_SOFTNESS
    trial = torch.logspace(low, high, count, dtype=found.dtype).to(found.device)
    weight = roughness * noise2 / highest2.unsqueeze(-1)
    risks: list[Tensor] = []
    for each in trial:
        stiff = each * weight
        removed = stiff / (1 + stiff)
        risks.append((removed.square() * found.square() - 2 * removed * noise2).sum(-1))
    return trial[torch.stack(risks).argmin(0)]


whittaker = on_any_grid(_method)
