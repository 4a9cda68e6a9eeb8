"""How values are written for people, in tables and figures alike."""

from collections.abc import Mapping
from typing import Any

_ANGSTROM_DECIMALS = 3
_DECIMALS = 1


def heading(name: str, descriptor: Mapping[str, Any]) -> str:
    """Return a descriptor's name with its unit: `r1 / Å`.

    `descriptor` is one of a document `xasnn.estimate/1`.
    """
    return f"{name} / Å" if descriptor["unit"] == "angstrom" else name


def with_interval(descriptor: Mapping[str, Any]) -> str:
    """Return a value with its interval if it has one, `-` for what is not finite.

    >>> with_interval({"value": 9.74, "interval": [9.1, 10.3], "unit": ""})
    '9.7 (9.1–10.3)'
    """
    decimals = _ANGSTROM_DECIMALS if descriptor["unit"] == "angstrom" else _DECIMALS
    value = _number(descriptor["value"], decimals)
    if descriptor["interval"] is None:
        return value
    low, high = (_number(bound, decimals) for bound in descriptor["interval"])
    return f"{value} ({low}–{high})"


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
