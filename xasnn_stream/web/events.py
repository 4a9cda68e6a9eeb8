"""The events of the stream, as text: what a page needs to draw, and no more.

`result`: a delivery, with `arrays` if it is among the newest; its id is `seq`.
`partial`: the same of a sweep that is being measured, `seq` null, without an id.
`status`: how things are, as `/api/status` says it.
`reset`: forget every result, `why` says why; all that counts follows.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.estimate import GRID_CHANNELS
from xasnn_stream.partials import Partial
from xasnn_stream.results import Delivery

MAX_POINTS = 1500
"""More points than a plot has pixels; of longer spectra every n-th point is sent."""
ENERGY_DIGITS = 2

_Arrays = Mapping[str, NDArray[Any]]


def result_event(delivery: Delivery, *, arrays: bool) -> str:
    """Return the event of a result; its id is `seq`."""
    return event("result", result(delivery, arrays=arrays), delivery.seq)


def partial_event(partial: Partial) -> str:
    """Return the event of a partial estimate, which nobody can resume after: no id."""
    return event(
        "partial", partial.header() | {"arrays": drawn(partial.estimate.arrays)}
    )


def result(delivery: Delivery, *, arrays: bool) -> dict[str, Any]:
    """Return the delivery as JSON, with what is drawn of it if `arrays`."""
    header = delivery.header()
    return header | {"arrays": drawn(delivery.arrays)} if arrays else header


def event(name: str, data: Mapping[str, Any], seq: int | None = None) -> str:
    """Return one server-sent event; JSON has no line breaks, so it is one line."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    number = "" if seq is None else f"id: {seq}\n"
    return f"{number}event: {name}\ndata: {text}\n\n"


def drawn(arrays: _Arrays) -> dict[str, list[float | None]]:
    """Return arrays as lists, rounded below what can be seen, None where not finite.

    `energy` with `mu_normalized`, or `mu` before there is one, is the spectrum as
    measured; `grid_energy` with `mu_reference` and `difference` what it is compared to.
    """
    named = {k: v for k, v in arrays.items() if v.ndim == 1}
    if "mu_normalized" in named:
        named.pop("mu", None)
    if "grid_spectra" in arrays:
        named |= dict(zip(GRID_CHANNELS[1:], arrays["grid_spectra"][1:], strict=True))
    return {name: _rounded(name, values) for name, values in named.items()}


def _rounded(name: str, values: NDArray[Any]) -> list[float | None]:
    every = max(1, math.ceil(len(values) / MAX_POINTS))
    thinned = values[::every].astype(np.float64)
    digits = ENERGY_DIGITS if name.endswith("energy") else _digits(thinned)
    return [n if math.isfinite(n) else None for n in np.round(thinned, digits).tolist()]


def _digits(values: NDArray[np.float64]) -> int:
    """Decimal places that keep a ten-thousandth of the range; raw μ has any scale."""
    finite = values[np.isfinite(values)]
    span = float(np.ptp(finite)) if finite.size else 0.0
    return 4 - math.floor(math.log10(span)) if span > 0 else 4
