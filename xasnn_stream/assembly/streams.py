"""One stream of a run while its documents come in: rows, arrays, and files."""

import math
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.accounting import EventRows
from xasnn_stream.assembly.axes import UnusableError
from xasnn_stream.assembly.bulk import bulk
from xasnn_stream.assembly.decoders import Undecodable
from xasnn_stream.assembly.growing_files import GrowingFiles
from xasnn_stream.assembly.metadata import epoch_s, reading
from xasnn_stream.assembly.references import Columns, Doc, References, is_id
from xasnn_stream.assembly.settings import Stream
from xasnn_stream.assembly.table import Table
from xasnn_stream.spectrum import FloatArray, Reason

MAX_VALUES = 50_000_000
"""Numbers in arrays of one stream kept in memory, 400 MB; what exceeds them is refused.

Readings of one number each are bounded by the rows of a run.
"""
NEAR = 16
"""Readings of a condition to either side of a sweep, within which it must have a number."""
MAX_EXTERNAL = 1_000
"""Data keys in files that are kept of one stream, beside those the profile reads."""
_MAX_SAID = 1_000


@dataclass(slots=True)
class StreamLog:
    """What came of one stream.

    `wanted` are the columns the profile reads. Those that no descriptor says are in files
    come with events; a decoder may give the others.
    """

    name: str
    settings: Stream
    wanted: tuple[str, ...]
    references: References
    repeated: frozenset[str] = frozenset()
    """Columns that an event may have once for all its rows: conditions."""
    rows: EventRows = field(default_factory=EventRows)
    described: bool = False
    """Whether a descriptor said that the run has this stream."""
    external: dict[str, Doc] = field(default_factory=lambda: dict[str, Doc]())
    """Data keys whose values are in files, with what the descriptor says of them."""
    _arrays: dict[int, dict[str, Any]] = field(
        default_factory=lambda: dict[int, dict[str, Any]]()
    )
    growing: GrowingFiles = field(init=False)
    """Those of its files that StreamDatums tell of."""
    _by_time: list[tuple[float, int]] = field(
        default_factory=lambda: list[tuple[float, int]]()
    )
    _values: int = 0
    _plain: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._plain = self.wanted
        self.growing = GrowingFiles(self.name)

    def describe(self, data_keys: Any) -> None:
        """Take note of a descriptor's data keys; its shapes are not believed."""
        self.described = True
        if not isinstance(data_keys, Mapping):
            return
        keys = cast(Mapping[str, Any], data_keys)
        external = {
            key: cast(Doc, said)
            for key, said in keys.items()
            if isinstance(said, Mapping)
            and isinstance(cast(Doc, said).get("external"), str)
        }
        decoded = not set(self.wanted) <= set(keys)
        for key, said in external.items():
            has_room = decoded and len(self.external) < MAX_EXTERNAL
            if key in self.wanted or key in self.external or has_room:
                # What a descriptor says at such length is nothing that is read.
                is_short = bulk(said, _MAX_SAID) <= _MAX_SAID
                self.external[key] = said if is_short else {}
        self._plain = tuple(key for key in self.wanted if key not in self.external)
        self.growing.needed = frozenset(self.wanted) & self.external.keys()

    def put(self, seq_num: int, time: Any, data: Mapping[str, Any]) -> bool:
        """Keep the readings of one event; False if memory has no room for them.

        What is missing or no number becomes NaN.
        """
        at_s = epoch_s(time)
        row = [math.nan if at_s is None else at_s]
        arrays: dict[str, Any] = {}
        for key in self._plain:
            value = data.get(key)
            if type(value) is float:
                row.append(value)
                continue
            row.append(reading(value))
            if math.isnan(row[-1]) and (array := _array(value)) is not None:
                arrays[key] = array
        for key in self.external:
            if (value := data.get(key)) is not None and not _is_too_long(value):
                arrays[key] = value if isinstance(value, str) else _given(value)
        if arrays:
            size = sum(_size(array) for array in arrays.values())
            if self._values + size > MAX_VALUES:
                return False
            self._values += size
            self._arrays[seq_num] = arrays
        if self.repeated:
            self._note_time(seq_num, row[0])
        self.rows.put(seq_num, tuple(row))
        return True

    def _note_time(self, seq_num: int, at_s: float) -> None:
        """Keep the events of conditions in order of time."""
        if seq_num in self.rows:
            before = (self.rows.row(seq_num)[0], seq_num)
            place = bisect_left(self._by_time, before)
            if self._by_time[place : place + 1] == [before]:
                del self._by_time[place]
        if not math.isnan(at_s):
            insort(self._by_time, (at_s, seq_num))

    def add_stream_resource(self, doc: Doc) -> None:
        """Take note of the file behind a data key; Undecodable if it is refused."""
        key, uid = doc.get("data_key"), doc.get("uid")
        if not isinstance(uid, str) or not isinstance(key, str):
            raise Undecodable("a StreamResource without uid or data_key")
        if key not in self.external or self.growing.knows(uid):
            return
        try:
            array = self.references.growing(doc, self.external[key])
        except Undecodable as error:
            self.growing.refused = str(error)
            raise
        self.growing.add(key, uid, array)

    @property
    def newest_s(self) -> float:
        """The time of the last event, 0 if there is none or it says none."""
        if not self.rows:
            return 0.0
        at_s = self.rows.row(self.rows.highest)[0]
        return 0.0 if math.isnan(at_s) else at_s

    def count(self) -> int:
        """Return how many rows there are, in events or files that grow."""
        return self.growing.available() if self.growing else len(self.rows)

    def missing(self, announced: int | None) -> int:
        """Return how many of the rows told of are missing, and may yet come."""
        if self.growing or self.growing.refused:
            return self.growing.missing(announced)
        return self.rows.missing(announced)

    def forget(self, seq_num: int) -> None:
        """Let go of the arrays of an event that became a sweep."""
        arrays = self._arrays.pop(seq_num, {})
        self._values -= sum(_size(array) for array in arrays.values())

    def table(self, after: int = 0, *, gapless: bool = False) -> Table:
        """Return the rows behind number `after`, up to the first gap if `gapless`.

        Rows of files that grow are numbered from 1 as events are. Raises NotReady while
        files are awaited, Undecodable if they are of no use.
        """
        if self.growing:
            return self._grown(after)
        self.growing.check()
        return self._table_of(self.rows.after(after, gapless=gapless))

    def around(self, at_s: float) -> Table:
        """Return the rows nearest to a time, `NEAR` events to either side.

        Only streams with conditions have them; all rows of files that grow. Raises as
        `table` does.
        """
        if self.growing or self.growing.refused:
            return self.table()
        place = bisect_left(self._by_time, (at_s, 0))
        near = self._by_time[max(place - NEAR, 0) : place + NEAR]
        return self._table_of([seq_num for _, seq_num in near])

    def _table_of(self, numbers: list[int]) -> Table:
        if self._arrays and numbers:
            return _joined([self.event_table(seq_num) for seq_num in numbers])
        rows = self.rows.columns(numbers, 1 + len(self._plain))
        columns = dict(zip(self._plain, rows[1:], strict=True))
        return Table(cast(Columns, columns), np.array(numbers, int), rows[0])

    def event_table(self, seq_num: int) -> Table:
        """Return the rows of one event: its arrays, and the scalars to be repeated.

        Raises NotReady and Undecodable as `table` does, UnusableError if its arrays
        are not of one length.
        """
        time, *scalars = self.rows.row(seq_num)
        plain = dict(zip(self._plain, scalars, strict=False))
        columns: dict[str, NDArray[np.generic]] = {}
        is_scalar = self._is_scalar(plain)
        for key, value in self._arrays.get(seq_num, {}).items():
            if is_scalar and not (isinstance(value, str) and key in self.wanted):
                continue  # an array beside readings is none of them
            found = self._columns(key, value)
            columns |= {n: c for n, c in found.items() if len(c) == 1 or not is_scalar}
        lengths = {len(column) for column in columns.values()} or {1}
        if len(lengths) > 1:
            sizes = ", ".join(f"{k!r} {len(c)}" for k, c in sorted(columns.items()))
            text = (
                f"arrays of event {seq_num} of {self.name!r} differ in length: {sizes}"
            )
            raise UnusableError(Reason("no_signal", text))
        (n,) = lengths
        for key, value in plain.items():
            if n == 1 or key in self.repeated:
                columns.setdefault(key, np.full(n, value))
        return Table(columns, np.full(n, seq_num), np.full(n, time))

    def _is_scalar(self, plain: Mapping[str, float]) -> bool:
        """Whether an event holds one reading each."""
        return any(
            not math.isnan(value) and key not in self.repeated
            for key, value in plain.items()
        )

    def _columns(self, key: str, value: Any) -> Columns:
        if isinstance(value, str):
            decoder = self.settings.decoder
            value = self.references.read(value, self.external[key], decoder)
        if isinstance(value, Mapping):
            columns = cast(Columns, value)
            return {name or key: column for name, column in columns.items()}
        return {key: value}

    def _grown(self, first: int) -> Table:
        last = self.growing.available()
        columns = dict(self.growing.columns(first, last))
        event = np.arange(first + 1, last + 1)
        rows = self.rows.columns(event.tolist(), 1 + len(self._plain))
        columns |= {
            key: values
            for key, values in zip(self._plain, rows[1:], strict=True)
            if np.isfinite(values).any()
        }
        return Table(columns, event, rows[0])


def _joined(tables: Sequence[Table]) -> Table:
    """Return tables below each other, with NaN where one lacks a column."""
    shapes: dict[str, tuple[int, ...]] = {}
    for table in tables:
        for name, column in table.columns.items():
            shapes.setdefault(name, column.shape[1:])

    def part(table: Table, name: str) -> NDArray[np.generic]:
        column = table.columns.get(name)
        if column is None or column.shape[1:] != shapes[name]:
            return np.full((len(table), *shapes[name]), np.nan)
        return column

    return Table(
        {name: np.concatenate([part(t, name) for t in tables]) for name in shapes},
        np.concatenate([table.event for table in tables]),
        np.concatenate([table.time for table in tables]),
    )


def _array(value: Any) -> FloatArray | None:
    """Return a list or array of numbers, None for anything else."""
    if not isinstance(value, list | tuple | np.ndarray):
        return None
    try:
        array = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.ndim and array.size else None


def _given(value: Any) -> Any:
    """Return data that were filled in: an array, or a table of columns."""
    if isinstance(value, Mapping):
        columns = {str(k): _array(v) for k, v in cast(Doc, value).items()}
        return {k: v for k, v in columns.items() if v is not None}
    array = _array(value)
    return np.empty(0) if array is None else array


def _is_too_long(value: Any) -> bool:
    """Whether a text can be no name of a datum."""
    return isinstance(value, str) and not is_id(value)


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_size(v) for v in cast(Doc, value).values())
    return value.size if isinstance(value, np.ndarray) else 1
