"""The nearest of the names that exist, for a name that does not."""

import difflib
from collections.abc import Sequence


def hint(name: str, known: Sequence[str], nearness: float = 0.6) -> str:
    """Return ` (did you mean …?)`, or nothing if no name is near (0 any, 1 the same)."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=nearness)
    return f" (did you mean {near[0]}?)" if near else ""
