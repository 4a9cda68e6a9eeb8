"""Facts from the header of a file, whatever its dialect: XDI, XDAC, Athena, SPEC, ours."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from xasnn_stream.edges import EDGES, ELEMENTS
from xasnn_stream.files.table import Facts

_KEYS: Mapping[str, tuple[str, ...]] = {
    "element": ("element.symbol", "element", "symbol", "atsym", "bkg_z"),
    "edge": ("element.edge", "edge", "fft_edge"),
    "sample": ("sample.name", "sample", "sample_name", "label", "title"),
    "mode": ("mode", "scan.mode", "scan.plot_hint", "measurement.mode", "detection"),
    "temperature": ("sample.temperature", "temperature", "temperature_k"),
    "e0": ("scan.edge_energy", "edge_energy", "e0"),
    "d_spacing": ("mono.d_spacing", "mono.dspacing", "d_spacing", "dspacing"),
    "start": ("scan.start_time", "start_time", "time.start", "date", "#d"),
}
"""Keys by fact, lower case, the best first."""

_PAIR = re.compile(r"^\s*([A-Za-z][\w. -]*?)\s*[:=]\s*(.*\S)\s*$")
_INLINE = re.compile(r"\b(Element|Edge)\s*=\s*(\w+)")
_XDAC_CREATED = re.compile(r"created on (\d+/\d+/\d+) at (\d+:\d+:\d+ [AP]M)")
_LABVIEW_CREATED = re.compile(r"\s(\d+/\d+/\d{4})\s+(\d+:\d+:\d+ [AP]M)")
_DATE_ALONE = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]+ \d{4}")
_PHOTON_FACTORY_D = re.compile(r"\bD=\s*(\d+\.\d+)\s*A\b")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_ROMAN = {"LI": "L1", "LII": "L2", "LIII": "L3"}
_TIMES = (
    "%Y-%m-%d %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%y %I:%M:%S %p",
    "%a %b %d %H:%M:%S %Y",
)


def facts_of_lines(lines: Iterable[str]) -> Facts:
    """Return what header lines say, `key: value` or `key = value`, comments or not."""
    pairs: dict[str, str] = {}
    for line in lines:
        text = line.strip().lstrip("#%;!*").strip(" .")
        if line.startswith("#D "):
            pairs.setdefault("#d", text[2:])
        if (found := _PAIR.match(text)) is not None:
            pairs.setdefault(found[1].lower(), found[2])
        if _DATE_ALONE.fullmatch(text):
            pairs.setdefault("date", text)
        if (found := _PHOTON_FACTORY_D.search(text)) is not None:
            pairs.setdefault("d_spacing", found[1])
        for key, value in _INLINE.findall(text):
            pairs[key.lower()] = value
        for created in (_XDAC_CREATED, _LABVIEW_CREATED):
            if (found := created.search(text)) is not None:
                pairs.setdefault("date", f"{found[1]} {found[2]}")
    return facts_of(pairs)


def facts_of(pairs: Mapping[str, str]) -> Facts:
    """Return what keys and values say; what is no element, edge or number is ignored."""
    lower = {key.lower(): str(value).strip() for key, value in pairs.items()}
    said = {
        fact: next((lower[key] for key in keys if lower.get(key)), "")
        for fact, keys in _KEYS.items()
    }
    return Facts(
        element=_element(said["element"]),
        edge=edge_name(said["edge"]),
        sample=said["sample"] or None,
        mode=_mode(said["mode"]),
        temperature_k=_temperature(said["temperature"]),
        e0_ev=_number(said["e0"]),
        d_spacing=_number(said["d_spacing"]),
        start=_time(said["start"]),
    )


def edge_name(text: str) -> str | None:
    """Return an edge as it is called here: K, L1, L2 or L3; None if it is none.

    >>> edge_name("LIII"), edge_name("k"), edge_name("L_3"), edge_name("M5")
    ('L3', 'K', 'L3', None)
    """
    name = re.sub(r"[\s_-]|EDGE", "", text.upper())
    name = _ROMAN.get(name, name)
    return name if name in EDGES else None


def _element(text: str) -> str | None:
    words = text.split()
    name = words[0].capitalize() if words else ""
    return name if name in ELEMENTS else None


def _mode(text: str) -> str | None:
    low = text.lower().replace(" ", "")
    if low.startswith(("trans", "ln(i0/it", "mutrans")):
        return "transmission"
    if low.startswith("ln(it/ir"):
        return "reference"
    if "fluo" in low or low.endswith("/i0") or ")/i0" in low:
        return "fluorescence"
    return None


def _temperature(text: str) -> float | None:
    """Return kelvin; a bare number is kelvin, words such as `room` are no number."""
    found = re.fullmatch(r"([-+]?\d+(?:\.\d*)?)\s*(K|kelvin|°?C|deg ?C)?\b.*", text)
    if found is None:
        return None
    celsius = (found[2] or "K").lower().endswith("c")
    return float(found[1]) + (273.15 if celsius else 0.0)


def _number(text: str) -> float | None:
    found = _NUMBER.match(text)
    return float(found[0]) if found else None


def _time(text: str) -> float | None:
    """Return epoch seconds; a time without a zone is taken as UTC."""
    text = " ".join(text.replace("T", " ", 1).split()) if text[:1].isdigit() else text
    parsed = None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        for form in _TIMES:
            try:
                parsed = datetime.strptime(text, form)
                break
            except ValueError:
                continue
    if parsed is None:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
