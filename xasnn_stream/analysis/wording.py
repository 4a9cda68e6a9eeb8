"""How values are written for people, in tables and figures alike."""

from xasnn_stream.estimate import Descriptor


def heading(name: str, found: Descriptor) -> str:
    """Return a descriptor's name with its unit: `r1 / Å`."""
    return f"{name} / Å" if found.unit == "angstrom" else name


def with_interval(found: Descriptor) -> str:
    """Return a value with its interval if it has one: `9.7 (9.1–10.3)`."""
    digits = 3 if found.unit == "angstrom" else 1
    value = f"{found.value:.{digits}f}"
    if found.interval is None:
        return value
    low, high = found.interval
    return f"{value} ({low:.{digits}f}–{high:.{digits}f})"
