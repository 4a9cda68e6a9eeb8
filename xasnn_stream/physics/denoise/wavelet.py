"""Denoising by shrinking the coefficients of an undecimated wavelet transform.

The spectrum is resampled evenly in the coordinate of `stretch`. The transform is the
"à trous" one with the cubic B-spline (J.-L. Starck and F. Murtagh): translation-invariant,
and the sum of its scales is the spectrum. Coefficients below their own noise times a
factor are noise; what they add up to is taken off the measured points, so that a
spectrum without noise comes back unchanged.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.grids import Kept, Rows, on_any_grid
from xasnn_stream.physics.denoise.stretch import stretched

_EDGE_WIDTH_EV, _WIDTH_IN_K = 1.0, 0.3
_SCALES = 5
_SIGMAS = 3.0
_B3 = (0.0625, 0.25, 0.375, 0.25, 0.0625)
_MOST_SAMPLES = 4096
_CHUNK = 256


class _Grid(NamedTuple):
    """Measured points and even samples in each other's order.

    `to_left`, `to_share`: the point left of a sample and how far it lies beyond;
    `back_left`, `back_share` the reverse. `noise` (`scales x samples`) is a
    coefficient's standard deviation for unit noise of the points.
    """

    to_left: Tensor
    to_share: Tensor
    back_left: Tensor
    back_share: Tensor
    noise: Tensor


def _build(x: Tensor, e0: float) -> _Grid:
    del e0
    u = stretched(x, _EDGE_WIDTH_EV, _WIDTH_IN_K)
    span = float(u[-1])
    finest = float(u.diff().sort().values[u.numel() // 4])
    count = min(max(math.ceil(span / finest), u.numel()) + 1, _MOST_SAMPLES)
    at = torch.linspace(0, span, count, dtype=u.dtype, device=u.device)
    to_left, to_share = _between(at, u)
    back_left, back_share = _between(u, at)
    power = torch.zeros(_SCALES, count, dtype=u.dtype, device=u.device)
    for chunk in torch.eye(u.numel(), dtype=u.dtype, device=u.device).split(_CHUNK):
        parts, _ = _transform(_lerp(chunk, to_left, to_share))
        power += parts.square().sum(1)
    return _Grid(to_left, to_share, back_left, back_share, power.sqrt())


def _between(at: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    left = (
        torch.searchsorted(points.contiguous(), at.contiguous(), right=True) - 1
    ).clamp(min=0, max=points.numel() - 2)
    return left, (at - points[left]) / (points[left + 1] - points[left])


def _lerp(values: Tensor, left: Tensor, share: Tensor) -> Tensor:
    return values[:, left] * (1 - share) + values[:, left + 1] * share


def _transform(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scales' coefficients, `scales x rows x samples`, and what remains."""
    kernel = torch.tensor(_B3, dtype=samples.dtype, device=samples.device)
    parts: list[Tensor] = []
    for scale in range(_SCALES):
        gap = 2**scale
        padded = functional.pad(
            samples.unsqueeze(1), (2 * gap, 2 * gap), mode="replicate"
        )
        smooth = functional.conv1d(padded, kernel.reshape(1, 1, -1), dilation=gap)
        parts.append(samples - smooth.squeeze(1))
        samples = smooth.squeeze(1)
    return torch.stack(parts), samples


_operators = Kept(_build)


def _method(rows: Rows) -> Denoised:
    grid: _Grid = _operators(rows)
    parts, _ = _transform(_lerp(rows.mu, grid.to_left, grid.to_share))
    level = _lerp(rows.noise, grid.to_left, grid.to_share)
    limit = _SIGMAS * level * grid.noise[:, None]
    noise = torch.where(parts.abs() < limit, parts, 0.0).sum(0)
    return Denoised(rows.mu - _lerp(noise, grid.back_left, grid.back_share), None)


wavelet = on_any_grid(_method)
