"""How much memory what a document says takes."""

from collections.abc import Mapping
from typing import Any, cast


def bulk(value: Any, most: int) -> int:
    """Return about how many numbers, or texts as long as a number, a value holds.

    Counts no further than a little beyond `most`, whatever the value holds.
    """
    counted, left = 0, [value]
    while left and counted <= most:
        item = left.pop()
        counted += 1
        if isinstance(item, str | bytes):
            counted += len(item) // 8
        elif isinstance(item, Mapping):
            mapping = cast(Mapping[Any, Any], item)
            left += mapping.keys()
            left += mapping.values()
        elif isinstance(item, list | tuple):
            left += cast(list[Any], item)
        else:
            size = getattr(item, "size", 0)
            counted += size if isinstance(size, int) else 0
    return counted
