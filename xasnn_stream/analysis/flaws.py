"""Glitches, jumps and saturated channels of a batch: left out, repaired or flagged."""

from collections.abc import Sequence

from torch import Tensor

from xasnn_stream.analysis.curves import Account, Curves
from xasnn_stream.edges import EDGE_ENERGIES_EV
from xasnn_stream.physics.glitches import REASONS, find_glitches

_WHY = {
    "spike": "",
    "detector": ", only in μ",
    "i0": ", as I0 has",
    "instrument": ", as the reference channel has",
}
_NAMED = 3
"""Glitches named by their energy; of more only the number is said."""


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


def _by_edge(accounts: Sequence[Account]) -> list[list[int]]:
    """Return rows of one edge together: which edges a scan may hold is its own."""
    groups: dict[str | None, list[int]] = {}
    for row, account in enumerate(accounts):
        groups.setdefault(account.edge_name, []).append(row)
    return list(groups.values())


def _edges(account: Account, others: Sequence[str]) -> list[float]:
    """Return the energies (eV) of all edges of an account's sample but its own."""
    edge = account.signal.edge
    elements = {*others, edge.element} if edge else set(others)
    found = [each for name in elements for each in EDGE_ENERGIES_EV[name].values()]
    return sorted(each for each in found if each != account.tabulated_ev)


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
