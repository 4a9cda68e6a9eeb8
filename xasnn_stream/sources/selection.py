"""Chooses whole runs out of a store or a sequence of documents."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xasnn_stream.sources.document import PARENTS

_HAVE_CHILDREN = ("start", "descriptor", "resource", "stream_resource")
REMEMBERED = 100_000
"""Skipped documents whose children are recognised; beyond it the oldest is forgotten."""


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
        self._skipped: OrderedDict[str, None] = OrderedDict()

    def takes(self, name: str, doc: dict[str, Any]) -> bool:
        """Return whether the document belongs to a selected run.

        Documents must come in order: start, descriptors, events. What belongs to no
        skipped run is taken.
        """
        uid = doc.get("uid")
        if name == "start":
            taken = self._selection.takes(doc)
        else:
            parents = [doc.get(key) for key in PARENTS]
            taken = not any(isinstance(p, str) and p in self._skipped for p in parents)
        if not taken and isinstance(uid, str) and name in _HAVE_CHILDREN:
            self._skipped[uid] = None
            if len(self._skipped) > REMEMBERED:
                self._skipped.popitem(last=False)
        return taken
