"""Stored documents at the pace at which they were taken."""

import math
import time
from dataclasses import replace

import numpy as np

from xasnn_stream.sources.document import Document, Source

MAX_PAUSE_S = 60.0
"""A longer pause, when somebody had stopped the plan, is not waited for."""


class PacedSource:
    """Gives out what another source has when its turn comes, by the documents' `time`.

    `speed` is how much faster than it was taken. A run begins as soon as the one before
    is over: nobody waits for the night between them. Documents without a time come at
    once.
    """

    def __init__(self, source: Source, speed: float) -> None:
        self._source = source
        self._speed = speed
        self._next: Document | None = None
        self._due_s = -math.inf
        self._taken = math.inf

    @property
    def address(self) -> str:
        """Where it reads."""
        return self._source.address

    @property
    def can_wait(self) -> bool:
        """Whether nothing is lost while nobody receives."""
        return self._source.can_wait

    @property
    def exhausted(self) -> bool:
        """Whether everything was given out."""
        return self._next is None and self._source.exhausted

    @property
    def connected(self) -> bool:
        """Whether there is more to come."""
        return self._next is not None or self._source.connected

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document if its turn comes within `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        if self._next is None:
            self._next = self._source.receive(timeout_s)
            if self._next is None:
                return None
            self._due_s = self._turn(self._next)
        wait_s = self._due_s - time.monotonic()
        left_s = deadline - time.monotonic()
        time.sleep(max(0.0, min(wait_s, left_s)))
        if wait_s > left_s:
            return None
        document, self._next = self._next, None
        # Latency counts from now: it was not received before its turn.
        return replace(document, received_s=time.monotonic())

    def close(self) -> None:
        """Close the source; may be called twice."""
        self._next = None
        self._source.close()

    def _turn(self, document: Document) -> float:
        """Return when a document is due, in seconds of `time.monotonic`."""
        taken = _taken(document)
        if taken is None:
            return self._due_s
        since, self._taken = taken - self._taken, max(taken, self._taken)
        if document.name == "start" or not math.isfinite(since):
            self._taken = taken
            return time.monotonic()
        pause_s = min(max(since, 0.0) / self._speed, MAX_PAUSE_S)
        return self._due_s + pause_s


def _taken(document: Document) -> float | None:
    """Return the epoch seconds of a document, of the last row of a page."""
    value = document.doc.get("time")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list) and value:
        value = value[-1]
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None
