"""What flows between the threads of the pipeline, how much of it, and until when."""

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from xasnn_stream.spectrum import RunEnded, Spectrum

Item = TypeVar("Item")

WAIT_S = 0.2
"""Longest wait of any thread before it looks whether it shall end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of queues, batches and of the log.

    A batch goes to the engine when it holds `max_batch` spectra or its first one waited
    `max_wait_s`; the log is trimmed to `log_bytes`, undelivered rows excepted.
    """

    document_queue: int = 100_000
    batch_queue: int = 8
    max_batch: int = 64
    max_wait_s: float = 0.02
    log_bytes: int = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Sweep:
    """A spectrum and when its last document was received."""

    spectrum: Spectrum
    received_s: float


@dataclass(frozen=True, slots=True)
class Unended:
    """A run that is given up without its end: that may still come, or not."""

    uid: str


Work = Sweep | RunEnded | Unended
"""What the engine's thread is given: sweeps, and behind the last of a run its end."""


@dataclass(frozen=True, slots=True)
class Course:
    """How far the pipeline is.

    `stopping`: nothing more is received. `broken`: a thread died or time ran out, and
    what is on its way is dropped. `abandoned`: stores in mid-request are left behind.
    `finished`: everything from all sources is in the log.
    """

    stopping: threading.Event = field(default_factory=threading.Event)
    broken: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)


def put(target: "queue.Queue[Item]", item: Item, course: Course) -> None:
    """Put an item as soon as there is room; drop it if the course is broken."""
    while not course.broken.is_set():
        with suppress(queue.Full):
            target.put(item, timeout=WAIT_S)
            return
