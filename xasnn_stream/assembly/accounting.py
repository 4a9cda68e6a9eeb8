"""The rows of one sweep: what arrived, in which order, and what is missing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from xasnn_stream.spectrum import FloatArray

MAX_ROWS = 1_000_000
"""Rows of one run; a `seq_num` beyond it is a mistake, or a run nobody could hold."""


@dataclass(slots=True)
class EventRows:
    """Rows of readings by `seq_num`, which counts from 1 without gaps in every stream.

    A `seq_num` that comes again replaces its row: it is either the same event once more
    or, after a pause, the point measured again.
    """

    highest: int = 0
    _rows: dict[int, tuple[float, ...]] = field(
        default_factory=lambda: dict[int, tuple[float, ...]]()
    )

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, seq_num: int, row: tuple[float, ...]) -> None:
        """Keep one row; `seq_num` is from 1 to `MAX_ROWS`."""
        if seq_num > self.highest:
            self.highest = seq_num
        self._rows[seq_num] = row

    def missing(self, announced: int | None) -> int:
        """Return how many rows are missing, given the number the stop announced."""
        return max(self.highest, announced or 0) - len(self._rows)

    def __contains__(self, seq_num: int) -> bool:
        return seq_num in self._rows

    def row(self, seq_num: int) -> tuple[float, ...]:
        """Return one row; KeyError if it did not come."""
        return self._rows[seq_num]

    def after(self, seq_num: int, *, gapless: bool) -> list[int]:
        """Return the numbers of the rows behind one, up to the first gap if `gapless`."""
        if not gapless:
            return sorted(number for number in self._rows if number > seq_num)
        found: list[int] = []
        while seq_num + 1 in self._rows:
            seq_num += 1
            found.append(seq_num)
        return found

    def absent(self, announced: int | None, most: int) -> list[int]:
        """Return the numbers of up to `most` rows that are missing."""
        last = max(self.highest, announced or 0)
        gaps = (number for number in range(1, last + 1) if number not in self._rows)
        return list(islice(gaps, most))

    def columns(self, numbers: Sequence[int], count: int) -> FloatArray:
        """Return rows as an array `count x rows`; NaN in those that did not come."""
        nothing = (math.nan,) * count
        ordered = [self._rows.get(number, nothing) for number in numbers]
        if not ordered:
            return np.empty((count, 0))
        return np.ascontiguousarray(np.array(ordered, dtype=np.float64).T)


def span(
    times: Sequence[float] | FloatArray, fallback: tuple[float, float]
) -> tuple[float, float]:
    """Return the first and last time, each from `fallback` where it is unknown."""
    if not len(times):
        return fallback
    first, last = float(times[0]), float(times[-1])
    return (
        first if math.isfinite(first) else fallback[0],
        last if math.isfinite(last) else fallback[1],
    )
