"""Where lines and polynomials are fitted: larch's automatic ranges, and other edges."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.instrument import HC2_OVER_2M_EV_A2
from xasnn_stream.physics.normalization.polynomial import MAX_DEGREE
from xasnn_stream.physics.ragged import index_at_or_below
from xasnn_stream.physics.settings import Normalization

NEXT_EDGE_MARGIN_EV = 30.0
"""How far below the next edge a range ends: there an edge of 5 eV natural width has risen
by 3 % of its step, and beamlines' axes are up to 6 eV off."""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far one edge alone is seen; all `batch`.

    `limits` are the lowest and highest energy to fit, eV relative to e0, as `normalize`
    takes them, `kmax` (1/angstrom) is the k reached there, 0 where it is not above the
    edge; `cut` says where another edge, not the scan, ends the range.
    """

    limits: tuple[Tensor, Tensor]
    kmax: Tensor
    cut: Tensor


def reach(
    energy: Tensor, valid: Tensor | None, e0: Tensor, next_edge_ev: float | None
) -> Reach:
    """Return the range of each scan that ends before the next edge of the sample.

    `energy` and `valid` are `batch x points`, or `(points,)` and None; `next_edge_ev`
    is as of `edges.next_edge_ev`, None if there is no other edge.
    """
    if valid is None:
        start, end = energy[..., 0], energy[..., -1]
    else:
        start = energy[:, 0]
        end = energy.masked_fill(~valid, -torch.inf).amax(-1)
    start, end = start.expand_as(e0), end.expand_as(e0)
    last = torch.inf if next_edge_ev is None else next_edge_ev - NEXT_EDGE_MARGIN_EV
    cut = end > last
    high = end.clamp(max=last) - e0
    kmax = (high.clamp(min=0) / HC2_OVER_2M_EV_A2).sqrt()
    return Reach((start - e0, high), kmax, cut)


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
