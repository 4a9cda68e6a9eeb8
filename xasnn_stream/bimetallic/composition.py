"""A composition as people write it: `Pd0.4Au0.6`, `Pd40Au60` or `PdAu3`."""

import re
from collections.abc import Mapping

from xasnn_stream.errors import UsageError

_WRITTEN = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?")


def read_composition(text: str, elements: tuple[str, str]) -> Mapping[str, float]:
    """Return the share of atoms of both elements, adding up to one.

    >>> read_composition("PdAu3", ("Pd", "Au"))
    {'Pd': 0.25, 'Au': 0.75}

    Raises
    ------
    UsageError
        If it is not written so, or of other elements.
    """
    found = _WRITTEN.findall(text)
    amounts = {element: float(amount or 1.0) for element, amount in found}
    whole = "".join(element + amount for element, amount in found) == text
    total = sum(amounts.values())
    if not whole or len(found) != 2 or set(amounts) != set(elements) or not total:
        first, second = elements
        raise UsageError(
            f"composition {text!r}: write both elements with their shares of atoms, "
            f"as {first}0.4{second}0.6"
        )
    return {element: amounts[element] / total for element in elements}
