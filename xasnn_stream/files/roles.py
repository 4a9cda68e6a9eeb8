"""Which column is which: from names beamlines use to the roles of a scan."""

import re
from collections.abc import Mapping, Sequence

from xasnn_stream.edges import EDGE_ENERGIES_EV, ELEMENTS

_NAMES: Mapping[str, str] = {
    "energy": r"e|ee|en|ev|kev|ee?ev|energy(?!.*(time|shift))\w*|mono\w*energy\w*"
    r"|photonenergy\w*|dcmenergy\w*|braggenergy\w*|\w*energy(fbk|fb|rbv|rb|readback)?"
    r"|(mono|dcm)\d?(ene?|ev)|energie|\w*energyac[hs]\w*|\w*energyfeedback",
    "angle": r"angle\w*|theta|bragg|braggangle|monotheta|(mono|dcm)(angle|theta|bragg)",
    "i0": r"i0|io|izero|i0(cts|counts|cps|na|v|a|det|eh|chamber)?|mon|monitor|ion0|ic0"
    r"|i0monitor|incoming(beam)?|io(cts|counts)|countsi0|i0signal|inull|ionch0|ich0",
    "it": r"it|i1|i|itr|itrans\w*|itransmission|trans|transmission|transmitted\w*|ion1"
    r"|ic1|i1(cts|counts|cps|na|v|a)|it(cts|counts|na|v|a|det)|absorbedbeam|iabs"
    r"|ionch1|ich1|itsignal",
    "ir": r"ir|i2|iref|irefer\w*|ireference|ion2|ic2|i2(cts|counts|cps|na|v|a)|ionch2"
    r"|ich2|ir(cts|counts|na|v)|reference(beam|signal)?",
    "if": r"if|iff|ifl|ifluo\w*|fluo|fluor\w*|ifluorescence|pips|lytle|tfy|ify|flu"
    r"|fluosum|fluorsum|sdd(sum|total)|ffsum|ff|apd",
    "mu": r"mu|xmu|mue|mut|mux|mutrans\w*|mufluo\w*|mt(step)?|abs|absorption|absorbance"
    r"|absorptioncoefficient|mutr|mufl|rawmu|muraw|xmutrans|xmufluor|norm|normalized"
    r"|normmu|munorm\w*|flat|xanes|µ|µt|µe|μ|μt|μe|lni0it|lni0i1",
    "mu_reference": r"muref\w*|xmuref\w*|xmur|murefer|refmu|foilmu|mufoil|mureference"
    r"|lniti?r(ef)?|lni1i2|murf",
}
"""Names by role, as regular expressions of names in lower case, letters and digits only."""

_PATTERNS = {role: re.compile(pattern) for role, pattern in _NAMES.items()}

_PLANNED = re.compile(r"request|setting|setpoint|base|demand|target|drive|nominal")
"""In the name of an energy that was asked for, not reached."""

_BEST_ENERGY = re.compile(
    r"e|energy|energyev|energykev|\w*(ac(h|t|s)\w*|rbv|rb|readback|enc\w*)"
)
_MU_ORDER = ("norm", "normalized", "munorm", "normmu", "flat", "abs")
"""Read as absorption only where no better name is there, in this order."""

_MANY = re.compile(
    r"(dtc|corr|ifch|ifluor?|if|fluor?|ffi?|roi|sca|ge|vortex|xsp\w*?|sdd\w*?)_?(\d+)$"
)
"""Elements of a fluorescence detector, numbered."""

_ORDER_OF_MANY = ("dtc", "corr")
"""Corrected for dead time, and therefore first."""

_OF_ELEMENT = re.compile(
    r"(?:.*[^A-Za-z])?([A-Z][a-z]?)(?:_?(?:[Ss]um|SUM)|_?K[ab]?|\d+)?$"
)


def plain(name: str) -> str:
    """Return a name as the table of names has it.

    >>> plain("Mono Energy *"), plain("I_0"), plain("Energy(eV)")
    ('monoenergy', 'i0', 'energyev')
    """
    return re.sub(r"[^a-z0-9µμ]", "", name.lower())


def role_of(name: str) -> str | None:
    """Return the role a name stands for; None if it is none known."""
    text = plain(name)
    roles = (role for role, known in _PATTERNS.items() if known.fullmatch(text))
    return next(roles, None)


def recognized(names: Sequence[str]) -> int:
    """Return how many different roles are among names."""
    return len({role_of(name) for name in names} - {None})


def has_absorption(names: Sequence[str]) -> bool:
    """Return whether names hold absorption, or the counts it is made of."""
    roles = {role_of(name) for name in names}
    return "mu" in roles or ("i0" in roles and bool({"it", "if"} & roles))


def columns_by_role(names: Sequence[str]) -> dict[str, str]:
    """Return the best column for each role that has one.

    The energy that was reached comes before the one that was asked for; of absorption,
    raw before normalized.
    """
    chosen: dict[str, str] = {}
    for role in _PATTERNS:
        candidates = [name for name in names if role_of(name) == role]
        if candidates:
            chosen[role] = min(candidates, key=lambda name: _rank(role, name))
    return chosen


def _rank(role: str, name: str) -> int:
    text = plain(name)
    if role == "energy":
        if _PLANNED.search(text):
            return 2
        return 0 if _BEST_ENERGY.fullmatch(text) else 1
    if role == "angle":
        return 1 if _PLANNED.search(text) or text.endswith("c") else 0
    if role == "mu" and text in _MU_ORDER:
        return 1 + _MU_ORDER.index(text)
    return 0


def numbered_pairs(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return number, i0 and it of samples measured side by side: `It1`, `It2`, ….

    `I0` without a number is the first one's, and everyone's who has no own.
    """
    behind = _numbered(names, r"it_?(\d)")
    if len(behind) < 2:
        return []
    before = _numbered(names, r"i0_?(\d)")
    common = columns_by_role(names).get("i0")
    return [
        (number, before.get(number, common), name)
        for number, name in sorted(behind.items())
        if before.get(number, common) is not None
    ]  # type: ignore[return-value] - those without i0 are left out


def _numbered(names: Sequence[str], pattern: str) -> dict[str, str]:
    found = ((re.fullmatch(pattern, name.lower()), name) for name in names)
    return {match[1]: name for match, name in found if match}


def fluorescence_columns(
    names: Sequence[str], element: str | None, span_ev: tuple[float, float]
) -> list[str]:
    """Return the columns whose sum is the fluorescence; none if it cannot be told.

    Either the numbered elements of one detector, or columns named after an element: the
    one of the scan, else the only one with an edge between `span_ev` (eV).
    """
    many: dict[str, list[str]] = {}
    for name in names:
        match = _MANY.fullmatch(name.lower().replace(" ", ""))
        if match is not None:
            many.setdefault(match[1], []).append(name)
    several = {base: found for base, found in many.items() if len(found) > 1}
    for base in (*_ORDER_OF_MANY, *several):
        if base in several:
            return several[base]
    return _named_after(names, element, span_ev)


def _named_after(
    names: Sequence[str], element: str | None, span_ev: tuple[float, float]
) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name in names:
        match = _OF_ELEMENT.fullmatch(name)
        if match is not None and match[1] in ELEMENTS and role_of(name) is None:
            groups.setdefault(match[1], []).append(name)
    if element is None:
        low, high = span_ev
        inside = [
            each
            for each in groups
            if any(low < energy < high for energy in EDGE_ENERGIES_EV[each].values())
        ]
        element = inside[0] if len(inside) == 1 else None
    found = groups.get(element or "", [])
    sums = [name for name in found if plain(name).endswith("sum")]
    return sums[:1] or found
