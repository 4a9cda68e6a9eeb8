"""Chooses whole runs out of a store or a sequence of documents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_PARENTS = ("run_start", "descriptor", "resource", "stream_resource")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs of a store are wanted.

    `since` and `until` bound the start document's `time` (epoch seconds, inclusive);
    `wanted` sees the start document. Everything given must hold.
    """

    uids: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    wanted: Callable[[Mapping[str, Any]], bool] | None = None

    def takes(self, start: Mapping[str, Any]) -> bool:
        """Return whether the run with this start document is wanted."""
        if self.uids and start.get("uid") not in self.uids:
            return False
        if self.since is not None or self.until is not None:
            started = start.get("time")
            if not isinstance(started, int | float):
                return False
            if self.since is not None and started < self.since:
                return False
            if self.until is not None and started > self.until:
                return False
        return self.wanted is None or self.wanted(start)


class RunFilter:
    """Remembers which runs were not selected, to skip all their documents."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._skipped: set[str] = set()

    def takes(self, name: str, doc: dict[str, Any]) -> bool:
        """Return whether the document belongs to a selected run.

        Documents must come in order: start, descriptors, events. What belongs to no
        skipped run is taken.
        """
        uid = doc.get("uid")
        if name == "start":
            taken = self._selection.takes(doc)
        else:
            parents = [doc.get(key) for key in _PARENTS]
            taken = self._skipped.isdisjoint(p for p in parents if isinstance(p, str))
        if not taken and isinstance(uid, str) and name not in ("event", "event_page"):
            self._skipped.add(uid)
        return taken
