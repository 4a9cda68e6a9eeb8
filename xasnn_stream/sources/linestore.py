"""A file of JSON lines as a store of runs, also while it is being written."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from xasnn_stream.errors import SourceError
from xasnn_stream.sources.codec import MAX_BYTES, FrameError, decode_line
from xasnn_stream.sources.document import PARENTS
from xasnn_stream.sources.store import StoredRun

MAX_RUNS = 100_000
"""A day of a run per second, some 30 MB of places."""
_NAME_WITHIN = 16
"""Bytes of a line that hold the document's name."""


@dataclass(slots=True)
class _Place:
    """Where in the file a run is, from its start to the end of its stop, in bytes."""

    began: float
    first: int
    last: int | None = None


class JSONLinesStore:
    """The runs of a file whose stop is in it.

    The file is read once; what was added since the last look is read at the next. A
    last line without its end is still being written and waits for that look.

    Of more than `MAX_RUNS` runs those that start first in the file are forgotten: they
    are as if they were not stored. A replay of the file reads all of them.
    """

    def __init__(self, path: str) -> None:
        self.address = f"jsonl:{Path(path).name}"
        self._path = Path(path)
        self._identity = 0
        self._indexed = 0
        self._places: dict[str, _Place] = {}

    def finished_runs(self, since: float | None = None) -> Iterator[StoredRun]:
        """Yield the runs that have a stop and started at or after `since` (epoch)."""
        self._look()
        for uid, place in list(self._places.items()):
            if place.last is not None and (since is None or place.began >= since):
                yield self._stored(uid, place.first, place.last)

    def finished_run(self, uid: str) -> StoredRun | None:
        """Return one run, None if it is not there or has no stop yet."""
        self._look()
        place = self._places.get(uid)
        if place is None or place.last is None:
            return None
        return self._stored(uid, place.first, place.last)

    def close(self) -> None:
        """Nothing is kept open between two looks."""

    def _stored(self, uid: str, first: int, last: int) -> StoredRun:
        with self._opened() as file:
            file.seek(first)
            _, start = decode_line(file.readline(MAX_BYTES))
        return StoredRun(start, partial(self._documents, uid, first, last))

    def _documents(
        self, uid: str, first: int, last: int
    ) -> list[tuple[str, dict[str, Any]]]:
        family = {uid}
        documents: list[tuple[str, dict[str, Any]]] = []
        with self._opened() as file:
            for _, line in _lines(file, first, last):
                try:
                    name, doc = decode_line(line)
                except FrameError:
                    continue  # were it this run's, its rows say that one is missing
                if _belongs(name, doc, family):
                    documents.append((name, doc))
        return documents

    def _look(self) -> None:
        """Note the runs of all whole lines that came since the last look."""
        with self._opened() as file:
            status = self._path.stat()
            if status.st_ino != self._identity or status.st_size < self._indexed:
                # Another file under the same name.
                self._identity, self._indexed = status.st_ino, 0
                self._places = {}
            for end, line in _lines(file, self._indexed, status.st_size):
                self._note(line, end)
                self._indexed = end

    def _note(self, line: bytes, end: int) -> None:
        beginning = line[:_NAME_WITHIN]
        if b'"start"' not in beginning and b'"stop"' not in beginning:
            return
        try:
            name, doc = decode_line(line)
        except FrameError:
            return  # counted by whoever reads the file as a source
        uid = doc.get("uid" if name == "start" else "run_start")
        if not isinstance(uid, str):
            return
        if name == "start":
            began = doc.get("time")
            began = began if isinstance(began, int | float) else 0.0
            # Recorded twice, once perhaps cut short: the copies make one whole run.
            self._places.setdefault(uid, _Place(began, end - len(line)))
            if len(self._places) > MAX_RUNS:
                del self._places[next(iter(self._places))]
        elif name == "stop" and uid in self._places:
            self._places[uid].last = end

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            with self._path.open("rb") as file:
                yield file
        except OSError as error:
            raise SourceError(f"{self.address}: {error.strerror}") from error
        except FrameError as error:
            raise SourceError(f"{self.address} has changed: {error}") from error


def _lines(file: BinaryIO, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Yield the whole lines between two offsets, each with the offset of its end.

    Of a line longer than any document only the end comes, which is none.
    """
    file.seek(first)
    position = first
    while line := file.readline(min(last - position, MAX_BYTES)):
        position += len(line)
        if line.endswith(b"\n"):
            yield position, line


def _belongs(name: str, doc: dict[str, Any], family: set[str]) -> bool:
    """Whether a document is of the run in `family`, which it may enlarge."""
    uid = doc.get("uid")
    if name == "start":
        return uid in family
    ours = any(
        isinstance(parent, str) and parent in family for parent in map(doc.get, PARENTS)
    )
    if ours and isinstance(uid, str) and name not in ("event", "event_page", "stop"):
        family.add(uid)
    return ours
