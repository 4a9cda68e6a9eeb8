"""Where lines and polynomials are fitted: larch's automatic ranges, and other edges."""

import torch
from torch import Tensor

from xasnn_stream.physics.polynomial import MAX_DEGREE
from xasnn_stream.physics.ragged import index_at_or_below
from xasnn_stream.physics.settings import Normalization


def pre_edge_range(
    energy: Tensor, e0: Tensor, at_e0: Tensor, settings: Normalization, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Return `pre1` and `pre2`, eV relative to e0, each `batch`; data start at `start`."""
    second = energy[:, 1] - e0
    automatic = torch.where(
        at_e0 > 20, 5.0 * (second / 5.0).round(), 2.0 * (second / 2.0).round()
    )
    pre1 = automatic if settings.pre1 is None else torch.full_like(e0, settings.pre1)
    pre1 = torch.maximum(pre1, start)
    pre2 = 0.5 * pre1 if settings.pre2 is None else torch.full_like(e0, settings.pre2)
    return torch.minimum(pre1, pre2), torch.maximum(pre1, pre2)


def post_edge_range(
    e0: Tensor, settings: Normalization, end: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `norm1`, `norm2` (eV relative to e0) and `nnorm`; data end at `end`."""
    norm2 = 5.0 * (end / 5.0).round()
    if settings.norm2 is not None:
        norm2 = torch.full_like(e0, settings.norm2)
        norm2 = torch.where(norm2 < 0, end - norm2, norm2)
    norm2 = torch.minimum(norm2, end)
    norm1 = (5.0 * (norm2 / 15.0).round()).clamp(max=25.0)
    if settings.norm1 is not None:
        norm1 = torch.full_like(e0, settings.norm1)
    norm1, norm2 = torch.minimum(norm1, norm2), torch.maximum(norm1, norm2)
    norm1 = torch.minimum(norm1, norm2 - 2)
    span = norm2 - norm1
    degree = torch.where(span < 30, 0, torch.where(span < 300, 1, 2))
    if settings.nnorm is not None:
        degree = torch.full_like(degree, min(settings.nnorm, MAX_DEGREE))
    return norm1, norm2, degree


def line_degree(
    energy: Tensor, valid: Tensor, e0: Tensor, pre1: Tensor, pre2: Tensor
) -> Tensor:
    """Return the degree: one, or zero where the range holds fewer than three points."""
    relative = energy - e0.unsqueeze(-1)
    points = index_at_or_below(relative, valid, pre2) - index_at_or_below(
        relative, valid, pre1
    )
    return torch.where(points < 3, 0, 1)
