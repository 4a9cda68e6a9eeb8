"""Jumps: the beam is lost or moves, and what follows is of another height.

Transmission is logarithmic, so a lost fraction of one channel adds to μ; in fluorescence
a moved beam is a factor. Glitches are left out first: a jump is what is left.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.signals.flaws import (
    Jump,
    Windows,
    bend,
    best_jump,
    edge_step,
    inner,
    may_be_sharp,
    near_edges,
    typical,
    windows,
)

Kind = Literal["additive", "factor"]

MOST = 4
"""Jumps kept of a scan, the highest first; one with more is no scan to repair."""
_HALF = 6
_REACH = 1
_SIGMA = 7.0
_LEAST, _LEAST_AT_EDGE, _LEAST_COARSE = 0.005, 0.03, 0.04
"""Of the edge step; clean measured spectra stay below, where an edge rises as well, and
behind a rise where points are coarse."""
_SETTLED_EV = 20.0
"""Above e0, a rise and its white line are over."""
_ALIKE = 4.0
_SCREEN_SIGMA, _SCREEN = 2.0, 0.25
"""Noise and height of a jump that its four neighbours show of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Jumps:
    """Jumps of spectra, in order of energy; `batch x MOST`, NaN where there are fewer.

    `energy` is midway between the points on either side (eV), `size` the height of the
    jump and `std` its standard deviation, in units of μ; `base` is μ just before it.
    `count` (`batch`) includes jumps beyond `MOST`.
    """

    energy: Tensor
    size: Tensor
    std: Tensor
    base: Tensor
    count: Tensor


def find_jumps(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    e0: Tensor | None = None,
    others: Sequence[float] = (),
) -> Jumps:
    """Find sudden changes of height.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`; energies in eV, strictly ascending, all finite, no glitches.
    e0
        Edge energies, `batch`; found where not given. Give the tabulated edge or an e0
        bounded by it: a jump may be steeper than the edge.
    others
        Further edges within the scans, eV; they are no jumps.

    Rows of fewer than 13 points are not searched.
    """
    if not len(mu) or valid.shape[-1] <= 2 * _HALF:
        none = mu.new_full((len(mu), MOST), torch.nan)
        return Jumps(none, none, none, none, valid.new_zeros(len(mu)).long())
    mu = mu.double()
    e0 = find_e0(energy, mu, valid) if e0 is None else e0
    step = edge_step(energy, mu, valid, e0)
    norm = mu / step.unsqueeze(-1)
    near = near_edges(energy, e0, others)
    coarse = may_be_sharp(energy, valid, near)
    sharp = coarse & ~_settled(energy, e0, others)
    bent = bend(energy, norm)
    cut = windows(energy, norm, bent, valid, _candidates(bent, valid, sharp), _HALF)
    jump = best_jump(cut, _REACH)
    height, spike = jump.height, _spikes(cut) > jump.gain
    spread = _spread(cut, jump)
    at = cut.index.gather(-1, jump.first.unsqueeze(-1)).squeeze(-1)
    least = torch.where(near, _LEAST_AT_EDGE, _LEAST)
    least = torch.where(coarse, _LEAST_COARSE, least)[cut.row, at]
    found = (jump.ratio > _SIGMA) & (height.abs() > least) & ~spike
    found = found & ~sharp[cut.row, at]
    every = torch.zeros_like(mu)
    every[cut.row[found], at[found]] = height[found]
    errors = torch.zeros_like(mu)
    errors[cut.row[found], at[found]] = spread[found]
    return _highest(energy, mu, every, errors, step)


def repair(energy: Tensor, mu: Tensor, jumps: Jumps, kind: Kind = "additive") -> Tensor:
    """Move what is behind each jump so that the spectrum goes on smoothly.

    `additive` for transmission, `factor` for fluorescence; `batch x points`. The error
    that this leaves behind a jump is `jumps.std`.
    """
    behind = energy.unsqueeze(-1) > jumps.energy.unsqueeze(1)
    if kind == "additive":
        lower = torch.where(behind, jumps.size.unsqueeze(1), 0.0).sum(-1)
        return mu - lower.to(mu.dtype)
    factor = jumps.base / (jumps.base + jumps.size)
    return mu * torch.where(behind, factor.unsqueeze(1), 1.0).prod(-1).to(mu.dtype)


def _settled(energy: Tensor, e0: Tensor, others: Sequence[float]) -> Tensor:
    """Return where the rise of the edge is over and no other edge is near."""
    none = torch.full_like(e0, -torch.inf)
    above = energy > (e0 + _SETTLED_EV).unsqueeze(-1)
    return above & ~near_edges(energy, none, others)


def _candidates(bent: Tensor, valid: Tensor, sharp: Tensor) -> Tensor:
    """Return the points behind possible jumps: the bend turns over there."""
    used = inner(valid)
    noise = typical(bent, used).nan_to_num(0.0)
    pair = (bent[:, 1:] - bent[:, :-1]).abs() / 2
    turned = (bent[:, 1:] * bent[:, :-1] < 0) & used[:, 1:] & used[:, :-1]
    highest = functional.max_pool1d(pair, 3, 1, 1)
    limit = (_SCREEN_SIGMA * noise).clamp(min=_SCREEN * _LEAST).unsqueeze(-1)
    found = turned & (pair > limit) & (pair >= highest)
    return functional.pad(found, (1, 0)) & ~sharp


def _spikes(cut: Windows) -> Tensor:
    """Return how much of each window a single point off the curve explains, `windows`."""
    alone = torch.diagonal(cut.smooth, dim1=-2, dim2=-1)
    return (cut.rest(cut.values).square() / alone).amax(-1)


def _spread(cut: Windows, jump: Jump) -> Tensor:
    """Return the standard deviation of the jump in every window, `windows`.

    What remains beyond the noise is fine structure, which errs alike in many points.
    """
    beyond = (jump.left.square() - cut.noise.square()).clamp(min=0)
    return (cut.noise.square() + _ALIKE * beyond).sqrt() / jump.weight.sqrt()


def _highest(
    energy: Tensor, mu: Tensor, every: Tensor, errors: Tensor, step: Tensor
) -> Jumps:
    """Return the highest jumps of each row; neighbours within a window are one."""
    size = every.abs()
    single = functional.max_pool1d(size, 2 * _HALF + 1, 1, _HALF)
    size = torch.where(size >= single, size, 0.0)
    count = (size > 0).sum(-1)
    index = size.topk(min(MOST, size.shape[-1]), -1).indices.sort(-1).values
    exists = size.gather(-1, index) > 0
    scale = step.unsqueeze(-1)
    before = (index - 1).clamp(min=0)
    middle = (energy.gather(-1, index) + energy.gather(-1, before)) / 2
    every, errors = every.gather(-1, index) * scale, errors.gather(-1, index) * scale
    order = (~exists).to(torch.uint8).argsort(dim=-1, stable=True)
    middle, every, errors, base = (
        torch.where(exists, each, torch.nan).gather(-1, order)
        for each in (middle, every, errors, mu.gather(-1, before))
    )
    return Jumps(middle, every, errors, base, count)
