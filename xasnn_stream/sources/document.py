"""A document of Bluesky's event model as it arrived, and what a source of them does."""

import logging
import time
from dataclasses import dataclass
from typing import Any, Protocol

from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.telemetry.metrics import DOCUMENT_NAMES

log = logging.getLogger(__name__)

PARENTS = ("run_start", "descriptor", "resource", "stream_resource")
"""Where documents name those they belong to."""

_NAMES = frozenset(DOCUMENT_NAMES)


@dataclass(frozen=True, slots=True)
class Document:
    """A document, its name, and when it was received (seconds of `time.monotonic`)."""

    name: str
    doc: dict[str, Any]
    received_s: float


class Source(Protocol):
    """Where documents come from; used by one thread at a time."""

    @property
    def address(self) -> str:
        """Where it reads, as it appears in estimates and metrics; without secrets."""
        ...

    @property
    def can_wait(self) -> bool:
        """Whether nothing is lost while nobody receives (files, stored runs)."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether everything was received and no more can come."""
        ...

    @property
    def connected(self) -> bool:
        """Whether there is a peer to receive from; may be read from any thread."""
        ...

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None when none came within `timeout_s` seconds.

        What cannot be used is counted and skipped. Raises `SourceError` only when
        nothing more can be read from here.
        """
        ...

    def close(self) -> None:
        """Release everything; may be called twice."""
        ...


class Intake:
    """Counts what one source received and rejected."""

    def __init__(self, address: str, counters: Counters) -> None:
        self.address = address
        self._counters = counters
        self._reported: set[str] = set()
        self.connected(False)

    def connected(self, is_connected: bool) -> None:
        """Record whether the source has a peer."""
        self._counters.set("source_connected", is_connected, source=self.address)

    def accept(self, name: str, doc: dict[str, Any]) -> Document | None:
        """Count a document and return it; an unknown name is rejected instead."""
        if name not in _NAMES:
            self.reject("name", f"unknown document name {name[:40]!r}")
            return None
        counters = self._counters
        counters.add("documents_received_total", source=self.address, name=name)
        counters.set("last_document_timestamp_seconds", time.time())
        return Document(name, doc, time.monotonic())

    def reject(self, reason: str, text: str) -> None:
        """Count what cannot be used; the first of each reason is also logged."""
        self._counters.add(
            "documents_rejected_total", source=self.address, reason=reason
        )
        self._report(f"rejected ({reason})", text)

    def miss(self, documents: int) -> None:
        """Count documents that were lost on the way; the first time is also logged."""
        self._counters.add("documents_missed_total", documents, source=self.address)
        self._report("missed", f"{documents} documents were lost on the way here")

    def _report(self, kind: str, text: str) -> None:
        if kind not in self._reported:
            self._reported.add(kind)
            log.warning(
                "%s: %s: %s; more of this kind are only counted",
                self.address,
                kind,
                text,
            )
