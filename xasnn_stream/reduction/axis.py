"""The energy axis of scans by their reference channels: its shift, told or applied."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xasnn_stream.engine.foil import Foil
from xasnn_stream.physics.energy_axis import shift_against
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.ragged import gather, index_nearest, stack
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.reduction.curves import Account, Curves
from xasnn_stream.reduction.scatter import scatter

_FAR_EV = 1.5
"""Axes of one beamtime agree better; more is worth a look at the monochromator."""
_NO_EDGE = 0.1
"""Scatter before and above the edge of a reference, in steps, beyond which it holds none,
or that of another element."""


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """Flattened edges: curves `batch x points`, `e0` and `noise` (in steps) `batch`.

    `is_edge` (`batch`) says whether they are edges at all.
    """

    energy: Tensor
    flat: Tensor
    valid: Tensor
    e0: Tensor
    noise: Tensor
    is_edge: Tensor


def with_axis_told(
    curves: Curves, windows: tuple[Tensor, Tensor], foil: Foil | None, align: bool
) -> Curves:
    """Return the batch with its energy axes' shifts told and, with `align`, taken off.

    `windows` are the lowest and highest e0 of each row, `batch`, eV. Without a `foil` the
    reference's e0 is compared with the tabulated edge: a measured point, and so known to
    half the spacing of points only.
    """
    has = (curves.reference.isfinite() | ~curves.valid).all(-1)
    rows = has.nonzero().squeeze(-1).tolist()
    for account in curves.accounts:
        account.done["shift_ev"] = None
    if not rows:
        return curves
    part = curves.rows(rows)
    low, high = (end[rows] for end in windows)
    seen = _seen(part.energy, part.reference, part.valid, (low, high))
    value, std = (
        _from_tabulated(seen, part.tabulated)
        if foil is None
        else _from_foil(seen, foil)
    )
    known = value.isfinite() & std.isfinite() & seen.is_edge
    energy = curves.energy.clone()
    if align:
        energy[rows] -= torch.where(known, value, 0.0).unsqueeze(-1)
    told = zip(part.accounts, known.tolist(), value.tolist(), std.tolist(), strict=True)
    for account, is_known, shift, error in told:
        if is_known:
            _tell(account, shift, error, foil, align)
    return replace(curves, energy=energy)


def _seen(
    energy: Tensor, mu: Tensor, valid: Tensor, window: tuple[Tensor, Tensor] | None
) -> _Edge:
    e0 = find_e0(energy, mu, valid, window)
    e0 = torch.where(e0.isfinite(), e0, energy[:, 0])
    found = normalize(energy, mu, valid, Normalization(), e0)
    before, above, noise = scatter(energy, valid, found)
    is_edge = (before < _NO_EDGE) & ~(above > _NO_EDGE)
    return _Edge(energy, found.flat, valid, e0, noise, is_edge)


def _from_foil(seen: _Edge, foil: Foil) -> tuple[Tensor, Tensor]:
    energy, valid = stack([foil.energy_ev])
    mu, _ = stack([foil.mu])
    standard = _seen(energy, mu, valid, None)
    return shift_against(
        seen.energy,
        seen.flat,
        seen.valid,
        seen.noise,
        seen.e0,
        standard.energy,
        standard.flat,
        standard.valid,
        standard.e0,
        standard.noise,
    )


def _from_tabulated(seen: _Edge, tabulated: Tensor) -> tuple[Tensor, Tensor]:
    at = index_nearest(seen.energy, seen.valid, seen.e0).clamp(min=1)
    spacing = gather(seen.energy, at) - gather(seen.energy, at - 1)
    return seen.e0 - tabulated, spacing / 2


def _tell(
    account: Account, shift: float, std: float, foil: Foil | None, align: bool
) -> None:
    against = foil.name if foil else "the tabulated edge"
    account.done["shift_ev"] = {
        "value": shift,
        "std": std,
        "against": against,
        "applied": align,
    }
    done = "taken off" if align else "not taken off"
    if align or (foil is not None and abs(shift) > _FAR_EV):
        text = f"the axis is {shift:+.2f} ± {std:.2f} eV off {against} by the reference"
        account.flag("axis_shift", f"{text}; {done}")
