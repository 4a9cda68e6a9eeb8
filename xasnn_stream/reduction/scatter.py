"""How far normalized μ is from 0 before the edge and from 1 above it."""

import torch
from torch import Tensor

from xasnn_stream.physics.noise.points import NOISE_FROM_EV, point_noise
from xasnn_stream.physics.normalization.normalize import Normalized

_ABOVE_EDGE_EV = 60.0
"""From here on normalized μ is near 1, whatever the white line."""

_AT_EDGE_EV = (-10.0, 30.0)


def scatter(
    energy: Tensor, valid: Tensor, found: Normalized
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rms deviations before and above the edge, and the noise of a point.

    Each `batch`, in edge steps; NaN where there are no points to tell by. `energy` and
    `valid` are `batch x points`.
    """
    relative = energy - found.e0.unsqueeze(-1)
    before = (relative >= found.pre1.unsqueeze(-1)) & (
        relative <= found.pre2.unsqueeze(-1)
    )
    # Beyond what was fitted a polynomial is nothing that flattened μ must keep to.
    fitted = relative <= found.norm2.unsqueeze(-1)
    above = (relative >= _ABOVE_EDGE_EV) & fitted
    noise = point_noise(energy, found.norm, valid, found.e0 + NOISE_FROM_EV)
    return (
        _rms(found.norm, before & valid),
        _rms(found.flat - 1.0, above & valid),
        noise,
    )


def gap_at_edge(energy: Tensor, valid: Tensor, e0: Tensor) -> Tensor:
    """Return the widest spacing (eV) of points about the edge, `batch`."""
    low, high = energy[:, :-1] - e0.unsqueeze(-1), energy[:, 1:] - e0.unsqueeze(-1)
    about = (high > _AT_EDGE_EV[0]) & (low < _AT_EDGE_EV[1])
    spacing = (high - low).masked_fill(~(about & valid[:, 1:]), 0.0)
    return spacing.amax(-1)


def _rms(values: Tensor, where: Tensor) -> Tensor:
    total = torch.where(where, values.square(), 0.0).sum(-1)
    return (total / where.sum(-1)).sqrt()
