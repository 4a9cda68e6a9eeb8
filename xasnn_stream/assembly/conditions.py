"""What held at the sample while a sweep was measured: temperature, gas, potential."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xasnn_stream.assembly.columns import numbers
from xasnn_stream.assembly.metadata import find
from xasnn_stream.assembly.settings import Condition
from xasnn_stream.assembly.table import Table
from xasnn_stream.spectrum import FloatArray


def condition_at(
    condition: Condition, facts: Mapping[str, Any], table: Table | None, at_s: float
) -> float | None:
    """Return a condition at a time in epoch seconds, None where none is known.

    `facts` is the start document and, under `descriptor`, the configuration in the
    stream's descriptor; `table` is what came of the condition's stream so far. Before
    the first reading holds the first, after the last the last; NaN readings are none.
    """
    if condition.source is not None:
        found = find(facts, condition.source)
    else:
        found = None if table is None else _read(condition, table, at_s)
    if found is None:
        return None
    value = found + condition.zero
    return value if np.isfinite(value) else None


def _read(condition: Condition, table: Table, at_s: float) -> float | None:
    values = numbers(table.columns.get(condition.key))
    if values is None or values.size != len(table):
        return None
    taken_s, values = _by_time(table.time, values.reshape(-1))
    if not len(values) or not np.isfinite(at_s):
        return None
    if condition.interp == "linear":
        return float(np.interp(at_s, taken_s, values))
    earlier = int(np.searchsorted(taken_s, at_s, side="right")) - 1
    return float(values[max(earlier, 0)])


def _by_time(taken_s: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the readings that are any, in order of time: monitors may come late."""
    rows = np.flatnonzero(np.isfinite(taken_s) & np.isfinite(values))
    rows = rows[np.argsort(taken_s[rows], kind="stable")]
    return taken_s[rows], values[rows]
