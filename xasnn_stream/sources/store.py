"""What can be asked of a store of runs, as often as one likes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from xasnn_stream.errors import SourceError


class UnreadableRunError(SourceError):
    """A stored run cannot be read for what it is; asking again will not help."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run whose stop is stored: its start document, and how to get all of them.

    `documents` raises `UnreadableRunError` if the run is at fault, `SourceError` if the
    store is.
    """

    start: Mapping[str, Any]
    documents: Callable[[], list[tuple[str, dict[str, Any]]]]


class Store(Protocol):
    """Runs that are over, read by one thread at a time; runs may be added meanwhile.

    Methods raise `SourceError` while the store cannot be read.
    """

    def finished_runs(self, since: float | None = None) -> Iterator[StoredRun]:
        """Yield the runs that have a stop and started at or after `since` (epoch)."""
        ...

    def finished_run(self, uid: str) -> StoredRun | None:
        """Return one run, None if it is not there or has no stop yet."""
        ...

    def close(self) -> None:
        """Release everything; may be called twice."""
        ...
