"""A column of a stream as numbers to calculate with."""

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.spectrum import FloatArray


def numbers(column: NDArray[np.generic] | None) -> FloatArray | None:
    """Return a column of numbers as floats, None for one that is absent or of no numbers.

    Truth values are no readings, as in `metadata.number`.
    """
    if column is None or column.dtype.kind not in "iuf":
        return None
    return column.astype(np.float64)


def one_per_row(readings: FloatArray | None) -> FloatArray | None:
    """Return readings as `(rows,)`, None if there are several in a row."""
    if readings is None or readings.size != len(readings):
        return None
    return readings.reshape(len(readings))
