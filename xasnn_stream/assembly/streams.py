"""One stream of a run while its documents come in: rows, arrays, and files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.accounting import MAX_ROWS, EventRows
from xasnn_stream.assembly.bulk import bulk
from xasnn_stream.assembly.decoders import GrowingArray, Undecodable
from xasnn_stream.assembly.metadata import epoch_s, reading, whole
from xasnn_stream.assembly.references import Columns, Doc, References, is_id
from xasnn_stream.assembly.settings import Stream
from xasnn_stream.assembly.table import Table
from xasnn_stream.spectrum import FloatArray

MAX_VALUES = 50_000_000
"""Numbers in arrays of one stream kept in memory, 400 MB; what exceeds them is refused.

Readings of one number each are bounded by the rows of a run.
"""
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
    promised: int = 0
    """The highest index of StreamDatums, each of which stands for one or more rows."""
    given_up: bool = False
    """Whether files that no document named yet are not waited for any more."""
    external: dict[str, Doc] = field(default_factory=lambda: dict[str, Doc]())
    """Data keys whose values are in files, with what the descriptor says of them."""
    refused: str = ""
    """Why the file of a wanted key cannot be read, if it cannot."""
    _arrays: dict[int, dict[str, Any]] = field(
        default_factory=lambda: dict[int, dict[str, Any]]()
    )
    _growing: dict[str, list[GrowingArray]] = field(
        default_factory=lambda: dict[str, list[GrowingArray]]()
    )
    _by_resource: dict[str, GrowingArray] = field(
        default_factory=lambda: dict[str, GrowingArray]()
    )
    _values: int = 0
    _plain: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._plain = self.wanted

    def describe(self, data_keys: Any) -> None:
        """Take note of a descriptor's data keys; its shapes are not believed."""
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
        self.rows.put(seq_num, tuple(row))
        return True

    def add_stream_resource(self, doc: Doc) -> None:
        """Take note of the file behind a data key; Undecodable if it is refused."""
        key, uid = doc.get("data_key"), doc.get("uid")
        if not isinstance(uid, str) or not isinstance(key, str):
            raise Undecodable("a StreamResource without uid or data_key")
        if key not in self.external or uid in self._by_resource:
            return
        try:
            array = self.references.growing(doc, self.external[key])
        except Undecodable as error:
            self.refused = str(error)
            raise
        self._by_resource[uid] = array
        self._growing.setdefault(key, []).append(array)

    def add_stream_datum(self, doc: Doc) -> None:
        """Take note of new rows in a file; Undecodable if there cannot be so many."""
        indices = doc.get("indices")
        stop = (
            whole(cast(Doc, indices).get("stop"))
            if isinstance(indices, Mapping)
            else None
        )
        if stop is None or stop > MAX_ROWS:
            raise Undecodable(f"a StreamDatum of rows up to {stop}")
        array = self._by_resource.get(str(doc.get("stream_resource")))
        if array is not None:
            array.consume(doc)
            self._end_earlier(array, doc)
            self.promised = max(self.promised, stop)

    def _end_earlier(self, array: GrowingArray, doc: Doc) -> None:
        """Promise what a file has that `array` goes on from, up to where that begins.

        A datum that told of its last rows may be lost, and others must not move up.
        """
        first, start = (
            whole(cast(Doc, numbers).get("start"))
            if isinstance(numbers, Mapping)
            else 0
            for numbers in (doc.get("seq_nums"), doc.get("indices"))
        )
        same_key = (files for files in self._growing.values() if array in files)
        files = next(same_key, [array])
        earlier = files[: files.index(array)]
        if earlier and first:
            rows = first - 1 - (start or 0) - sum(a.promised for a in earlier[:-1])
            earlier[-1].consume({"indices": {"start": 0, "stop": max(rows, 0)}})

    @property
    def newest_s(self) -> float:
        """The time of the last event, 0 if there is none or it says none."""
        if not self.rows:
            return 0.0
        at_s = self.rows.row(self.rows.highest)[0]
        return 0.0 if math.isnan(at_s) else at_s

    @property
    def grows(self) -> bool:
        """Whether its rows are in files that grow."""
        return bool(self._growing)

    @property
    def refers(self) -> bool:
        """Whether its events refer to files, which are whole when the run is over."""
        return bool(self.external) and not self._growing

    @property
    def unnamed(self) -> bool:
        """Whether no document named the file of a wanted key, others were named."""
        keys = (key for key in self.wanted if key in self.external)
        return self.grows and any(key not in self._growing for key in keys)

    def available(self) -> int:
        """Return how many rows can be read from files that grow, of all wanted keys.

        A key whose file nobody named counts as empty until it is `given_up`. None can
        when a file turns out to be of no use; the stream is `refused` from then on.
        """
        if self.refused or (self.unnamed and not self.given_up):
            return 0
        try:
            rows = [
                sum(a.available() for a in files) for files in self._growing.values()
            ]
        except Undecodable as error:
            self.refused = str(error)
            return 0
        return 0 if self._unlike() else min(rows, default=0)

    def _unlike(self) -> str:
        """Say which keys have not as many rows to an index; it may yet prove untrue."""
        told = {k: max(a.told_per_index for a in f) for k, f in self._growing.items()}
        sure = {k: max(a.per_index for a in f) for k, f in self._growing.items()}
        most = max(sure, key=lambda key: sure[key], default="")
        least = min(told, key=lambda key: told[key], default="")
        if not most or sure[most] <= told[least]:
            return ""
        return (
            f"stream {self.name!r} has {sure[most]} rows of {most!r} to {told[least]} of "
            f"{least!r}; its detectors must have the same collections_per_event"
        )

    def count(self) -> int:
        """Return how many rows there are, in events or files that grow."""
        return self.available() if self.grows else len(self.rows)

    def missing(self, announced: int | None) -> int:
        """Return how many of the rows told of are missing, and may yet come."""
        if self.grows:
            available = 0 if self.unnamed else self.available()
            missing = self.expected(announced) - available
        else:
            missing = self.rows.missing(announced)
        return 0 if self.refused else missing

    def expected(self, announced: int | None) -> int:
        """Return how many rows of files were told of, or events `announced`."""
        arrays = [array for files in self._growing.values() for array in files]
        per_index = max((array.per_index for array in arrays), default=1)
        return max(self.promised, announced or 0) * per_index

    @property
    def shortage(self) -> str:
        """Which file lacks rows that were told of, if one does."""
        arrays = (array for files in self._growing.values() for array in files)
        return next((a.shortage for a in arrays if a.shortage), "")

    def forget(self, seq_num: int) -> None:
        """Let go of the arrays of an event that became a sweep."""
        arrays = self._arrays.pop(seq_num, {})
        self._values -= sum(_size(array) for array in arrays.values())

    def table(self, after: int = 0, *, gapless: bool = False) -> Table:
        """Return the rows behind number `after`, up to the first gap if `gapless`.

        Rows of files that grow are numbered from 1 as events are. Raises NotReady while
        files are awaited, Undecodable if they are of no use.
        """
        found = self._grown(after) if self.grows else None
        if refused := self.refused or self._unlike():
            raise Undecodable(refused)
        if found is not None:
            return found
        numbers = self.rows.after(after, gapless=gapless)
        if self._arrays and numbers:
            return _joined([self.event_table(seq_num) for seq_num in numbers])
        rows = self.rows.columns(numbers, 1 + len(self._plain))
        columns = dict(zip(self._plain, rows[1:], strict=True))
        return Table(cast(Columns, columns), np.array(numbers, int), rows[0])

    def event_table(self, seq_num: int) -> Table:
        """Return the rows of one event: its arrays, and the scalars to be repeated.

        Raises NotReady and Undecodable as `table` does.
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
            raise Undecodable(f"arrays of event {seq_num} differ in length: {sizes}")
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
        last = self.available()
        columns = {
            key: _between(arrays, first, last) for key, arrays in self._growing.items()
        }
        event = np.arange(first + 1, last + 1)
        rows = self.rows.columns(event.tolist(), 1 + len(self._plain))
        columns |= {
            key: values
            for key, values in zip(self._plain, rows[1:], strict=True)
            if np.isfinite(values).any()
        }
        return Table(columns, event, rows[0])


def _between(
    arrays: Sequence[GrowingArray], first: int, last: int
) -> NDArray[np.generic]:
    """Return rows of arrays that continue each other."""
    parts = list[NDArray[np.generic]]()
    for array in arrays:
        available = array.available()
        if max(first, 0) < min(last, available):
            part = array.read(max(first, 0), min(last, available))
            parts.append(part.reshape(len(part), -1))
        first, last = first - available, last - available
    if not parts:
        return np.empty(0)
    joined = np.concatenate(parts)
    return joined[:, 0] if joined.shape[1] == 1 else joined


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
