"""What came of one stream: named columns of as many rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.spectrum import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows in order of acquisition.

    Columns are `(rows,)`, of whatever numbers they came as, or `(rows, …)`. `event` is
    the `seq_num` of the event each row came with, `time` that event's time in epoch
    seconds, NaN where none is known (data of a StreamDatum); both are `(rows,)`.
    """

    columns: Mapping[str, NDArray[np.generic]]
    event: IntArray
    time: FloatArray

    def __len__(self) -> int:
        return len(self.event)

    def unpacked(self) -> "Table":
        """Return the rows of one event whose arrays have axes of one before them.

        Some stores put them there. Scalars that came with them are repeated.
        """
        arrays = {name: c for name, c in self.columns.items() if c.ndim > 1}
        lengths = {column.shape[1] for column in arrays.values()}
        if len(self) != 1 or len(lengths) != 1:
            return self
        (n,) = lengths
        columns = {
            name: arrays[name][0] if name in arrays else np.repeat(column, n)
            for name, column in self.columns.items()
        }
        table = Table(columns, np.repeat(self.event, n), np.repeat(self.time, n))
        return table.unpacked()

    def rows(self, first: int, last: int) -> "Table":
        """Return rows `first` to `last`, the latter excluded."""
        part = slice(first, last)
        columns = {name: column[part] for name, column in self.columns.items()}
        return Table(columns, self.event[part], self.time[part])
