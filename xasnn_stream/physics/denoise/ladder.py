"""Penalized least squares at a ladder of smoothnesses, by banded solves.

The curve z minimizes Σ (y - z)² + λ ∫ (z''')² du, so that (W + λ DᵀD) z = W y with seven
bands. In blocks it is tridiagonal, and all rungs λ are solved together: time and memory
grow with the number of points, not with its square.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass

import torch
from torch import Tensor

ORDER = 3
_BLOCK = 24
_CLOSEST = 0.05
"""Points nearer than this, in widths, are averaged first: it is far below what any rung
resolves, and the differences of closer ones would drown in rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Smoothers of spectra on one grid, one for each rung.

    `inverse` and `gain` (`blocks x rungs x block x block`) are the factors of the block
    elimination. `cell` (`points`) names the cell a point is averaged into, `left` and
    `share` where it lies among the cells' centres; `count` is a cell's points.
    `diagonal` (`rungs x points`) is the share of a point in its own smoothed value.
    """

    inverse: Tensor
    gain: Tensor
    cell: Tensor
    left: Tensor
    share: Tensor
    count: Tensor
    diagonal: Tensor


def build(u: Tensor, rungs: Tensor) -> Ladder:
    """Factorize for points at `u` (`points`, ascending, in widths) and λ of `rungs`."""
    cell, count = _cells(u)
    centre = u.new_zeros(count.numel()).scatter_add_(0, cell, u) / count
    left = (torch.searchsorted(centre, u, right=True) - 1).clamp(
        min=0, max=centre.numel() - 2
    )
    share = ((u - centre[left]) / (centre[left + 1] - centre[left])).clamp(0, 1)
    centres, beside = _blocks(centre)
    padded = count.new_ones(centres.shape[0] * _BLOCK)
    padded[: count.numel()] = count
    weight = torch.diag_embed(padded.reshape(-1, _BLOCK)).unsqueeze(1)
    level = rungs[:, None, None]
    inverse, gain = _eliminate(
        weight + level * centres[:, None], level * beside[:, None]
    )
    own = _diagonal(inverse, gain)[:, : count.numel()]
    # A point shares its cell's weight with the others there.
    return Ladder(inverse, gain, cell, left, share, count, own[:, cell])


def smooth(ladder: Ladder, mu: Tensor) -> Tensor:
    """Return spectra (`rows x points`) at every rung, `rungs x rows x points`."""
    count = ladder.count.numel()
    sums = mu.new_zeros(len(mu), len(ladder.inverse) * _BLOCK)
    sums.index_add_(1, ladder.cell, mu)
    rest = list(sums.reshape(len(mu), -1, _BLOCK).permute(1, 2, 0))
    ahead = [rest[0].expand(ladder.inverse.shape[1], -1, -1)]
    for block in range(1, len(rest)):
        ahead.append(rest[block] - ladder.gain[block] @ ahead[-1])
    found = [ladder.inverse[-1] @ ahead[-1]]
    for block in range(len(rest) - 2, -1, -1):
        below = ladder.gain[block + 1].mT @ found[-1]
        found.append(ladder.inverse[block] @ ahead[block] - below)
    curve = torch.cat(found[::-1], 1)[:, :count].mT
    return torch.lerp(
        curve[..., ladder.left], curve[..., ladder.left + 1], ladder.share
    )


def _cells(u: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cell of each point and the number of points of each cell."""
    if bool((u.diff() >= _CLOSEST).all()):
        return torch.arange(u.numel(), device=u.device), torch.ones_like(u)
    _, cell, count = torch.unique_consecutive(
        (u / _CLOSEST).floor(), return_inverse=True, return_counts=True
    )
    return cell, count.to(u.dtype)


def _blocks(u: Tensor) -> tuple[Tensor, Tensor]:
    """Return the blocks of DᵀD: on the diagonal, and each beside the one before it."""
    points = u.numel()
    near = u.unfold(0, ORDER + 1, 1)
    apart = near.unsqueeze(-1) - near.unsqueeze(-2)
    apart = apart + torch.eye(ORDER + 1, dtype=u.dtype, device=u.device)
    # A divided difference times 3! is the third derivative.
    weights = 6.0 / apart.prod(-1) * ((near[:, -1:] - near[:, :1]) / ORDER).sqrt()
    size = -(-points // _BLOCK)
    centres = u.new_zeros(size, _BLOCK, _BLOCK)
    beside = u.new_zeros(size, _BLOCK, _BLOCK)
    first = torch.arange(points - ORDER, device=u.device)
    for a in range(ORDER + 1):
        for b in range(ORDER + 1):
            row, column = first + a, first + b
            product = weights[:, a] * weights[:, b]
            same = row // _BLOCK == column // _BLOCK
            after = row // _BLOCK > column // _BLOCK
            for chosen, blocks in ((same, centres), (after, beside)):
                at = (row // _BLOCK, row % _BLOCK, column % _BLOCK)
                where = tuple(index[chosen] for index in at)
                blocks.index_put_(where, product[chosen], accumulate=True)
    return centres, beside


def _eliminate(centres: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverses of the pivots and what each block takes of the one before."""
    inverses: list[Tensor] = []
    gains: list[Tensor] = []
    for block in range(len(centres)):
        pivot, gain = centres[block], torch.zeros_like(centres[block])
        if block:
            gain = beside[block] @ inverses[-1]
            pivot = pivot - gain @ beside[block].mT
        inverses.append(torch.cholesky_inverse(torch.linalg.cholesky(pivot)))
        gains.append(gain)
    return torch.stack(inverses), torch.stack(gains)


def _diagonal(inverse: Tensor, gain: Tensor) -> Tensor:
    """Return the diagonal of the inverse of the whole, `rungs x points`."""
    block = inverse[-1]
    found = [block.diagonal(dim1=-2, dim2=-1)]
    for at in range(len(inverse) - 2, -1, -1):
        block = inverse[at] + gain[at + 1].mT @ block @ gain[at + 1]
        found.append(block.diagonal(dim1=-2, dim2=-1))
    return torch.cat(found[::-1], -1)
