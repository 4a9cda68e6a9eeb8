"""The files of one stream that grow while its run goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.accounting import MAX_ROWS
from xasnn_stream.assembly.decoders import GrowingArray, Undecodable
from xasnn_stream.assembly.metadata import whole
from xasnn_stream.assembly.references import Columns, Doc


@dataclass(slots=True)
class GrowingFiles:
    """Files by data key, those of one key continuing each other; true if there are any.

    `stream` is its name, `needed` the keys in files that the profile reads. Once
    `given_up`, files that no document named are not waited for any more. `refused` says
    why they cannot be read, if they cannot. `promised` is the highest index of
    StreamDatums, each of which stands for one or more rows.
    """

    stream: str
    needed: frozenset[str] = frozenset()
    given_up: bool = False
    refused: str = ""
    promised: int = 0
    _arrays: dict[str, list[GrowingArray]] = field(
        default_factory=lambda: dict[str, list[GrowingArray]]()
    )
    _by_resource: dict[str, GrowingArray] = field(
        default_factory=lambda: dict[str, GrowingArray]()
    )

    def __bool__(self) -> bool:
        return bool(self._arrays)

    def knows(self, resource: str) -> bool:
        """Whether the file of a StreamResource is one of these."""
        return resource in self._by_resource

    def add(self, key: str, resource: str, array: GrowingArray) -> None:
        """Take one more file, behind the others of its key."""
        self._by_resource[resource] = array
        self._arrays.setdefault(key, []).append(array)

    def consume(self, doc: Doc) -> None:
        """Take note of new rows in a file; Undecodable if there cannot be so many."""
        stop = _number(doc.get("indices"), "stop")
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
        first = _number(doc.get("seq_nums"), "start")
        start = _number(doc.get("indices"), "start")
        same_key = (files for files in self._arrays.values() if array in files)
        files = next(same_key, [array])
        earlier = files[: files.index(array)]
        if earlier and first:
            rows = first - 1 - (start or 0) - sum(a.promised for a in earlier[:-1])
            earlier[-1].consume({"indices": {"start": 0, "stop": max(rows, 0)}})

    @property
    def unnamed(self) -> bool:
        """Whether no document named the file of a needed key, others were named."""
        return bool(self) and not self.needed <= self._arrays.keys()

    def available(self) -> int:
        """Return how many rows can be read, of all needed keys.

        A key whose file nobody named counts as empty until it is `given_up`. None can
        when a file turns out to be of no use; the stream is `refused` from then on.
        """
        if self.refused or (self.unnamed and not self.given_up):
            return 0
        try:
            rows = [
                sum(a.available() for a in files) for files in self._arrays.values()
            ]
        except Undecodable as error:
            self.refused = str(error)
            return 0
        return 0 if self._unlike() else min(rows, default=0)

    def expected(self, announced: int | None) -> int:
        """Return how many rows were told of, or events `announced`."""
        arrays = [array for files in self._arrays.values() for array in files]
        per_index = max((array.per_index for array in arrays), default=1)
        return max(self.promised, announced or 0) * per_index

    def missing(self, announced: int | None) -> int:
        """Return how many of the rows told of are missing, and may yet come."""
        available = 0 if self.unnamed else self.available()
        return 0 if self.refused else self.expected(announced) - available

    @property
    def shortage(self) -> str:
        """Which file lacks rows that were told of, if one does."""
        arrays = (array for files in self._arrays.values() for array in files)
        return next((a.shortage for a in arrays if a.shortage), "")

    def columns(self, first: int, last: int) -> Columns:
        """Return rows by key; Undecodable if the files are of no use."""
        found = {key: _between(a, first, last) for key, a in self._arrays.items()}
        self.check()
        return found

    def check(self) -> None:
        """Raise Undecodable if the files are of no use."""
        if refused := self.refused or self._unlike():
            raise Undecodable(refused)

    def _unlike(self) -> str:
        """Say which keys have not as many rows to an index; it may yet prove untrue."""
        told = {k: max(a.told_per_index for a in f) for k, f in self._arrays.items()}
        sure = {k: max(a.per_index for a in f) for k, f in self._arrays.items()}
        most = max(sure, key=lambda key: sure[key], default="")
        least = min(told, key=lambda key: told[key], default="")
        if not most or sure[most] <= told[least]:
            return ""
        return (
            f"stream {self.stream!r} has {sure[most]} rows of {most!r} to {told[least]} "
            f"of {least!r}; its detectors must have the same collections_per_event"
        )


def _number(numbers: Any, key: str) -> int | None:
    return whole(cast(Doc, numbers).get(key)) if isinstance(numbers, Mapping) else None


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
