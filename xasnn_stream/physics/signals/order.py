"""Which points stay, and in which order: ascending, each energy once, all finite.

Points are taken away by moving the rest to the front: there are never holes in a row.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.signals.single import SAME_ENERGY_EV


def mask(keep: Tensor, valid: Tensor, *curves: Tensor) -> tuple[Tensor, ...]:
    """Keep some points of every row: the new `valid`, then every curve, `batch x points`.

    `keep` is `batch x points`. Kept points move to the front in their order; short rows
    are continued by their last kept value, as `ragged.stack` does. Curves may be
    `batch x points x channels`.
    """
    kept = keep & valid
    position = torch.arange(valid.shape[-1], device=valid.device)
    rank = kept.cumsum(-1) - 1
    source = torch.zeros_like(rank)
    # Points left out all write to a column of their own, which is then cut off.
    target = torch.where(kept, rank, valid.shape[-1])
    source = torch.nn.functional.pad(source, (0, 1))
    source = source.scatter(-1, target, position.expand_as(target))[..., :-1]
    count = kept.sum(-1, keepdim=True)
    last = source.gather(-1, (count - 1).clamp(min=0))
    source = torch.where(position < count, source, last)
    return position < count, *(_take(curve, source) for curve in curves)


def finite(energy: Tensor, valid: Tensor, *curves: Tensor) -> Tensor:
    """Return which points have a finite energy and finite curves, `batch x points`."""
    found = valid & energy.isfinite()
    for curve in curves:
        each = curve.isfinite()
        found = found & (each if each.dim() == 2 else each.all(-1))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """Points in ascending order, each energy once.

    `energy`, `valid`, `curves` and `readings`, the number of readings averaged into a
    point (its noise is smaller by the root of that), are `batch x points`. `reversed`
    (ran downwards), `back_steps` (times the axis turned back on its way) and `merged`
    (readings that were added to another of their energy) are `batch`.
    """

    energy: Tensor
    valid: Tensor
    curves: tuple[Tensor, ...]
    readings: Tensor
    reversed: Tensor
    back_steps: Tensor
    merged: Tensor


def order(energy: Tensor, valid: Tensor, *curves: Tensor) -> Ordered:
    """Sort points by energy and average readings of one energy.

    All arguments are `batch x points`, energies (eV) finite and in any order, `valid` a
    prefix of each row. A shuffled row has many back-steps: the caller decides how many
    an encoder may make.
    """
    steps = energy.diff()
    both = valid[..., 1:] & valid[..., :-1]
    if not bool(((steps <= SAME_ENERGY_EV) & both).any()):
        none = torch.zeros_like(valid[:, 0], dtype=torch.long)
        readings = valid.to(energy.dtype)
        return Ordered(energy, valid, curves, readings, none.bool(), none, none)
    down = ((steps < -SAME_ENERGY_EV) & both).sum(-1)
    up = ((steps > SAME_ENERGY_EV) & both).sum(-1)
    backwards = down > up
    back_steps = torch.where(backwards, up, down)

    ascending = energy.masked_fill(~valid, torch.inf).sort(dim=-1, stable=True)
    place = ascending.indices
    energy, curves = energy.gather(-1, place), tuple(_take(c, place) for c in curves)
    first = torch.ones_like(valid)
    first[..., 1:] = energy.diff() > SAME_ENERGY_EV
    first = first & valid
    group = (first.cumsum(-1) - 1).clamp(min=0)
    readings = torch.zeros_like(energy).scatter_add(-1, group, valid.to(energy.dtype))
    total = readings.clamp(min=1)
    averages = [_average(c, group, valid, total) for c in (energy, *curves)]
    points = torch.arange(valid.shape[-1], device=valid.device)
    is_new = points < first.sum(-1, keepdim=True)
    _, energy, *averaged = mask(is_new, is_new, *averages)
    merged = valid.sum(-1) - is_new.sum(-1)
    return Ordered(
        energy, is_new, tuple(averaged), readings, backwards, back_steps, merged
    )


def _take(curve: Tensor, place: Tensor) -> Tensor:
    if curve.dim() == 2:
        return curve.gather(-1, place)
    return curve.gather(1, place.unsqueeze(-1).expand(-1, -1, curve.shape[-1]))


def _average(curve: Tensor, group: Tensor, valid: Tensor, total: Tensor) -> Tensor:
    if curve.dim() == 3:
        group, valid = (t.unsqueeze(-1).expand_as(curve) for t in (group, valid))
        total = total.unsqueeze(-1)
    used = torch.where(valid, curve, 0.0)
    return torch.zeros_like(curve).scatter_add(1, group, used) / total.to(curve.dtype)
