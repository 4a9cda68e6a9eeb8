"""Documents whose run is unknown: its start, or a descriptor, never came."""

from collections import OrderedDict
from dataclasses import dataclass

MAX_ORPHANS = 1_000
"""Unknown runs remembered; beyond it the oldest is forgotten and may be told again."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A document of `source` whose run is unknown here; `uid` names the run if it could.

    `again` is True for a run of which an earlier orphan told.
    """

    source: str
    uid: str | None
    again: bool


class Orphans:
    """What came of unknown runs, each once per `take`."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting: dict[tuple[str, str | None], Orphan] = {}

    def put(self, source: str, uid: str | None) -> None:
        """Note a document of an unknown run, or of one it cannot name."""
        again = (source, uid) in self._told
        if uid is not None:
            self._told[source, uid] = None
            if len(self._told) > MAX_ORPHANS:
                self._told.popitem(last=False)
        if len(self._waiting) < MAX_ORPHANS:
            self._waiting.setdefault((source, uid), Orphan(source, uid, again))

    def take(self) -> list[Orphan]:
        """Return what was put since the last call."""
        orphans, self._waiting = list(self._waiting.values()), {}
        return orphans
