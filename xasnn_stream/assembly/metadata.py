"""Values out of documents of any shape: dotted paths, text, numbers.

Beamlines write numbers as text and single values as lists of one; both are understood.
Nothing here raises, whatever a document holds.
"""

import math
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, cast

from xasnn_stream.assembly.settings import Lookup, Quantity

_LONGEST = 200  # characters: of a uid, a name, a tag
_MAX_TAGS = 100
_NOT_IN_A_STEP = frozenset("/\\?#%")
_MAX_NESTING = 8
_LATEST_S = (
    1e11  # the year 5138; no calendar shows 1e300, and milliseconds are no seconds
)
_MAX_WHOLE = 2**53  # beyond it neither JSON nor a float tells neighbours apart


def at(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, None if there is none.

    >>> at({"XDI": {"Element": [{"symbol": "Pt"}]}}, "XDI.Element.symbol")
    'Pt'
    """
    value: Any = document
    for part in path.split("."):
        value = single(value)
        if not isinstance(value, Mapping):
            return None
        value = cast(Mapping[str, Any], value).get(part)
    return single(value)


def single(value: Any) -> Any:
    """Return the only item of a list, tuple or array of one, else the value itself."""
    if getattr(value, "size", 1) != 1:
        return value  # a long array is not made a list only to be handed back
    item = value.tolist() if hasattr(value, "tolist") else value
    for _ in range(_MAX_NESTING):
        if not isinstance(item, list | tuple) or len(cast(list[Any], item)) != 1:
            break
        item = cast(list[Any], item)[0]
    return cast(Any, item)


def text(value: Any) -> str | None:
    """Return a text or number as stripped text, None for anything else or nothing.

    It goes into every result, so it is cut to a length a table can show; half of a
    character, which JSON can write but nobody can encode, becomes a question mark, and
    what moves a terminal's cursor instead of being seen a space.
    """
    value = single(value)
    if isinstance(value, str):
        short = value.strip()[:_LONGEST].encode("utf-8", "replace").decode()
        return "".join(c if c.isprintable() else " " for c in short).strip() or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)[:_LONGEST]
    return None


def number(value: Any) -> float | None:
    """Return a number, also one written as text; None unless it is finite.

    NaN counts as absent because some stores give it back as null.
    """
    value = single(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def reading(value: Any) -> float:
    """Return a detector reading as a number, also one in text; NaN if it is none."""
    value = single(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def epoch_s(value: Any) -> float | None:
    """Return a time in epoch seconds, None for anything no calendar can show."""
    seconds = number(value)
    return seconds if seconds is not None and 0 <= seconds <= _LATEST_S else None


def whole(value: Any) -> int | None:
    """Return a whole number from 0 to 2^53, None for anything else."""
    value = single(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= _MAX_WHOLE else None
    return None


def uid_in(value: Any) -> str | None:
    """Return a text that can be the uid of a run, None for anything else.

    It goes into databases and, as one step of a path, into addresses, so it must be
    short, printable and nothing but a name there.
    """
    if not isinstance(value, str) or not _is_name(value):
        return None
    return value if _NOT_IN_A_STEP.isdisjoint(value) and value.strip(".") else None


def find(facts: Mapping[str, Any], where: Quantity) -> float | None:
    """Return the number at the first candidate path with one, None if none has."""
    for path in where.paths:
        found = number(at(facts, path))
        if found is not None:
            return found * where.factor
    return None


def quantity(facts: Mapping[str, Any], where: Quantity) -> float:
    """Return the number at the first candidate path with one, or the default."""
    found = find(facts, where)
    return where.default if found is None else found


def look_up(start: Mapping[str, Any], where: Lookup) -> str | None:
    """Return the first text found at the candidate paths, or the default."""
    for path in where.paths:
        found = _translated(text(at(start, path)), where)
        if found is not None:
            return found
    return where.default


def _translated(found: str | None, where: Lookup) -> str | None:
    if found is not None and where.pattern is not None:
        matched = re.fullmatch(where.pattern, found)
        found = matched[1] if matched else None
    if found is not None and where.values is not None:
        found = where.values.get(found)
    return found


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts in a list, or a single text as the only one.

    What is no name, long or unprintable, is left out; so is what exceeds 100 texts.
    """
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return ()
    names = (v for v in cast(list[Any], value) if isinstance(v, str) and _is_name(v))
    return tuple(islice(names, _MAX_TAGS))


def _is_name(value: str) -> bool:
    return 0 < len(value) <= _LONGEST and value.isprintable()
