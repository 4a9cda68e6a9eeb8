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

    def rows(self, first: int, last: int) -> "Table":
        """Return rows `first` to `last`, the latter excluded."""
        part = slice(first, last)
        columns = {name: column[part] for name, column in self.columns.items()}
        return Table(columns, self.event[part], self.time[part])
