"""The threads that receive, and the queue of documents behind them."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from xasnn_stream.pipeline.flow import WAIT_S, Course, put
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.sources.document import Document, Source
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.telemetry.watched import Failed, start_thread

SETTLED_S = 0.5
"""A 0MQ peer that shook hands this long ago has our subscription."""


@dataclass(frozen=True, slots=True)
class Received:
    """A document and where it came from."""

    document: Document
    source: Source


@dataclass(frozen=True, slots=True)
class Ended:
    """The last thing from a source; `cut` if there was more in it."""

    source: Source
    cut: bool


class Reception:
    """One thread per source, and the bounded queue they fill.

    A source that cannot wait loses what does not fit, which is counted and `missing`
    told of.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        counters: Counters,
        missing: Missing,
        course: Course,
        capacity: int,
    ) -> None:
        self.received: queue.Queue[Received | Ended] = queue.Queue(capacity)
        self._sources = sources
        self._counters = counters
        self._missing = missing
        self._course = course
        self._capacity = capacity
        self._connected_since: dict[str, float] = {}

    def start(self, failed: Failed) -> list[tuple[Source, threading.Thread]]:
        """Start the threads; return each source with its own."""
        return [
            (
                source,
                start_thread(f"source-{n}", partial(self._receive, source), failed),
            )
            for n, source in enumerate(self._sources)
        ]

    def waits_for(self) -> list[str]:
        """Say which live sources are not connected, or only just."""
        reasons = list[str]()
        for source in self._sources:
            if source.can_wait:
                continue
            since = self._connected_since.get(source.address)
            if since is None:
                reasons.append(f"{source.address} is not connected")
            elif time.monotonic() - since < SETTLED_S:
                reasons.append(f"{source.address} was connected a moment ago")
        return reasons

    def _receive(self, source: Source) -> None:
        try:
            self._read(source)
        except Exception:
            # Left behind in a request, it wakes up when log and clients are closed.
            if not self._course.abandoned.is_set():
                raise

    def _read(self, source: Source) -> None:
        try:
            while not (self._course.stopping.is_set() or source.exhausted):
                document = source.receive(WAIT_S)
                self._note_connection(source)
                if document is not None:
                    self._offer(document, source)
            cut = not source.exhausted
        finally:
            source.close()
        put(self.received, Ended(source, cut), self._course)

    def _note_connection(self, source: Source) -> None:
        if not source.connected:
            self._connected_since.pop(source.address, None)
        elif source.address not in self._connected_since:
            self._connected_since[source.address] = time.monotonic()
            if not source.can_wait:
                # Whatever was sent while nobody was connected is lost.
                self._missing.look()

    def _offer(self, document: Document, source: Source) -> None:
        item = Received(document, source)
        if not source.can_wait:
            try:
                self.received.put_nowait(item)
            except queue.Full:
                self._counters.add("documents_missed_total", source=source.address)
                self._missing.look()
            return
        # Half of the queue is kept for sources that cannot wait.
        while self.received.qsize() > self._capacity // 2:
            if self._course.broken.wait(WAIT_S / 10):
                return
        put(self.received, item, self._course)
