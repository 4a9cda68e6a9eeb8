"""Glitches, jumps and saturated channels of a batch: left out, repaired or flagged."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from xasnn_stream.edges import other_edges_ev
from xasnn_stream.physics.signals.glitches import REASONS, find_glitches
from xasnn_stream.physics.signals.jumps import Jumps, find_jumps, repair
from xasnn_stream.reduction.curves import Account, Curves

_WHY = {
    "spike": "",
    "detector": ", only in μ",
    "i0": ", as I0 has",
    "instrument": ", as the reference channel has",
}
_NAMED = 3
"""Glitches named by their energy; of more only the number is said."""

_SMALL_JUMP = 0.1
"""Of the edge step: below it a jump makes numbers wrong by its size at most. Jumps of some
percent occur in spectra that people took for good."""

_EDGE_EV = 10.0
"""A jump so near to e0 may be the edge itself, of a scan with few points."""

JumpRule = Literal["refuse", "repair", "keep"]
"""What is done about jumps above `_SMALL_JUMP`."""


def without_glitches(curves: Curves, e0: Tensor, others: Sequence[str]) -> Curves:
    """Return the batch without points that leave the curve; the accounts say which.

    `e0` is `batch`, eV; `others` are further elements of the sample.
    """
    keep = curves.valid.clone()
    for rows in _by_edge(curves.accounts):
        part = curves.rows(rows)
        found = find_glitches(
            part.energy,
            part.mu,
            part.valid,
            part.i0,
            part.reference,
            e0[rows],
            _edges(part.accounts[0], others),
        )
        keep[rows] &= ~found.found
        for row, account in enumerate(part.accounts):
            at = found.found[row]
            energies = part.energy[row, at].tolist()
            _say(account, energies, found.reason[row, at].tolist())
            if bool(found.too_many[row]):
                text = (
                    "too many points leave the curve to be glitches; none is left out"
                )
                account.flag("rough", text)
    return curves.kept(keep)


def with_jumps_told(
    curves: Curves, e0: Tensor, step: Tensor, others: Sequence[str], rule: JumpRule
) -> Curves:
    """Return the batch with jumps flagged, and as `rule` says repaired or refused.

    `e0` (eV) and the edge `step` are `batch`.
    """
    mu = curves.mu.clone()
    for rows in _by_edge(curves.accounts):
        part = curves.rows(rows)
        account = part.accounts[0]
        found = find_jumps(
            part.energy, part.mu, part.valid, e0[rows], _edges(account, others)
        )
        if rule == "repair":
            mu[rows] = _repaired(part, found)
        for row, account in enumerate(part.accounts):
            at = rows[row]
            _tell_jumps(account, found, row, (float(e0[at]), float(step[at])), rule)
    return replace(curves, mu=mu)


def _repaired(part: Curves, found: Jumps) -> Tensor:
    is_factor = [account.signal.mode == "fluorescence" for account in part.accounts]
    by_sum = repair(part.energy, part.mu, found, "additive")
    by_factor = repair(part.energy, part.mu, found, "factor")
    return torch.where(torch.tensor(is_factor).unsqueeze(-1), by_factor, by_sum)


def _tell_jumps(
    account: Account,
    found: Jumps,
    row: int,
    edge: tuple[float, float],
    rule: JumpRule,
) -> None:
    e0, step = edge
    there = found.energy[row].isfinite()
    energies = found.energy[row, there].tolist()
    sizes = (found.size[row, there] / step).tolist()
    errors = (found.std[row, there] / step).tolist()
    account.done["jumps"] = [
        {"energy_ev": at, "size": size, "std": std, "repaired": rule == "repair"}
        for at, size, std in zip(energies, sizes, errors, strict=True)
    ]
    if not energies:
        return
    jumps = ", ".join(
        f"by {size:+.3f} at {at:.1f} eV"
        for at, size in zip(energies, sizes, strict=True)
    )
    text = f"μ jumps {jumps} (in edge steps)"
    if rule == "repair":
        account.flag("jump", f"{text}; repaired, to {max(errors):.4f}")
    elif rule == "refuse" and any(
        abs(size) > _SMALL_JUMP and abs(at - e0) > _EDGE_EV
        for at, size in zip(energies, sizes, strict=True)
    ):
        account.refuse(
            "jump", f"{text}; --jumps repair continues the curve across them"
        )
    else:
        account.flag("jump", text)


def _by_edge(accounts: Sequence[Account]) -> list[list[int]]:
    """Return rows of one edge together: which edges a scan may hold is its own."""
    groups: dict[str | None, list[int]] = {}
    for row, account in enumerate(accounts):
        groups.setdefault(account.edge_name, []).append(row)
    return list(groups.values())


def _edges(account: Account, others: Sequence[str]) -> list[float]:
    """Return the energies (eV) of all edges of an account's sample but its own."""
    edge = account.signal.edge
    elements = (*others, edge.element) if edge else others
    return other_edges_ev(account.tabulated_ev, elements)


def _say(account: Account, energies: list[float], codes: list[int]) -> None:
    account.done["masked"] = energies
    if energies:
        named = ", ".join(
            f"{energy:.1f}{_WHY[REASONS[code]]}"
            for energy, code in zip(energies[:_NAMED], codes, strict=False)
        )
        more = f" and {len(energies) - _NAMED} more" if len(energies) > _NAMED else ""
        text = f"points that leave the curve left out: {named}{more} (eV)"
        account.flag("glitch", text)
