"""Documents that came before the one they belong to."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xasnn_stream.assembly.bulk import bulk

MOST_HELD = 10_000
MOST_VALUES = 5_000_000
"""Numbers and texts in held documents, about: 100 MB."""

Parent = tuple[str, str, str]
"""Source, kind and uid of the document that is waited for."""


@dataclass(frozen=True, slots=True)
class Early:
    """A document, when it was received, and what it holds, about."""

    name: str
    doc: Mapping[str, Any]
    received_s: float
    size: int


class Held:
    """A bounded store of documents by the uid of their parent."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Parent, list[Early]] = OrderedDict()
        self._count = 0
        self._values = 0

    def put(
        self, parent: Parent, name: str, doc: Mapping[str, Any], received_s: float
    ) -> list[tuple[Parent, Early]]:
        """Hold a document; return those that had to go for it, the oldest first."""
        early = Early(name, doc, received_s, bulk(doc, MOST_VALUES))
        self._waiting.setdefault(parent, []).append(early)
        self._count += 1
        self._values += early.size
        gone: list[tuple[Parent, Early]] = []
        while self._count > MOST_HELD or self._values > MOST_VALUES:
            oldest = next(iter(self._waiting))
            gone += [(oldest, early) for early in self.take(oldest)]
        return gone

    def take(self, parent: Parent) -> list[Early]:
        """Return what was held for a document that came now, in order of receipt."""
        found = self._waiting.pop(parent, [])
        self._count -= len(found)
        self._values -= sum(early.size for early in found)
        return found

    def expired(self, before_s: float) -> list[tuple[Parent, Early]]:
        """Let go of what was received before a time, and return it."""
        old = [
            parent
            for parent, waiting in self._waiting.items()
            if waiting[0].received_s < before_s
        ]
        return [(parent, early) for parent in old for early in self.take(parent)]
