"""Joins the stations: documents → assembly → engine → result log.

One thread per source receives, one assembles and forms micro-batches, one owns the
device. Queues between them are bounded: a full one holds back sources that can wait,
and makes the others discard, which is counted and later seen by assembly as a gap.
"""

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.estimate import Estimate
from xasnn_stream.results import ResultLog
from xasnn_stream.sources.document import Document, Source
from xasnn_stream.spectrum import Spectrum
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.telemetry.watched import Failed, join_thread, start_thread

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

WAIT_S = 0.2
"""Longest wait of any thread before it looks whether it shall end."""
CHORES_EVERY_S = 1.0
SETTLED_S = 0.5
"""A 0MQ peer that shook hands this long ago has our subscription."""


class Estimator(Protocol):
    """What the pipeline needs of an engine; one per profile."""

    @property
    def device(self) -> str:
        """Where it computes."""
        ...

    def estimate(self, spectra: Sequence[Spectrum]) -> list[Estimate]:
        """Return one estimate per spectrum, in the same order."""
        ...


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
class _Ended:
    """The last thing from a source; `forget` its open runs: they are stored."""

    address: str
    forget: bool


@dataclass(frozen=True, slots=True)
class _Sweep:
    spectrum: Spectrum
    received_s: float


class Pipeline:
    """The threads between the sources and the result log.

    `failed` is called, from the thread concerned, when one dies: the process must end
    then, for what was on its way is lost and a restart reads it again.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        assembler: Assembler,
        engines: Mapping[str, Estimator],
        log: ResultLog,
        counters: Counters,
        failed: Failed,
        limits: Limits | None = None,
    ) -> None:
        self.finished = threading.Event()
        """Set once all sources ended and everything from them is in the log."""
        self._sources = sources
        self._assembler = assembler
        self._engines = engines
        self._log = log
        self._counters = counters
        self._report = failed
        self._limits = limits or Limits()
        self._documents: queue.Queue[tuple[Document, str] | _Ended] = queue.Queue(
            self._limits.document_queue
        )
        # None says that all sources ended.
        self._batches: queue.Queue[list[_Sweep] | None] = queue.Queue(
            self._limits.batch_queue
        )
        self._stopping = threading.Event()
        self._broken = threading.Event()
        self._connected_since: dict[str, float] = {}
        self._chores_due = 0.0
        self._threads: list[threading.Thread] = []
        for name, capacity in (
            ("documents", self._limits.document_queue),
            ("batches", self._limits.batch_queue),
        ):
            counters.set("queue_capacity", capacity, queue=name)

    def start(self) -> None:
        """Start the threads, the last station first."""
        after = [
            start_thread("engine", self._estimate, self._failed),
            start_thread("pipeline", self._assemble, self._failed),
        ]
        receivers = [
            start_thread(f"source-{n}", partial(self._receive, source), self._failed)
            for n, source in enumerate(self._sources)
        ]
        self._threads = [*receivers, *reversed(after)]

    def stop(self, timeout_s: float) -> bool:
        """Close the sources and bring what was received into the log.

        Runs of live sources still open become incomplete results; those of a store
        are forgotten, for it still has them. Returns False if that took longer than
        `timeout_s`: what is on its way then is counted in the log and dropped.
        """
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        ended = [join_thread(t, deadline - time.monotonic()) for t in self._threads]
        if all(ended):
            return True
        self._broken.set()
        with self._batches.mutex:
            sweeps = sum(len(batch or ()) for batch in self._batches.queue)
        logger.error(
            "not brought into the log within %.1f s: %d documents, %d sweeps, and what "
            "was being worked on",
            timeout_s,
            self._documents.qsize(),
            sweeps,
        )
        return False

    def show_queues(self) -> None:
        """Set the gauges of the queues; from any thread."""
        depth = partial(self._counters.set, "queue_depth")
        depth(self._documents.qsize(), queue="documents")
        depth(self._batches.qsize(), queue="batches")

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

    def _failed(self, thread: str, error: BaseException) -> None:
        self._broken.set()
        self._report(thread, error)

    def _receive(self, source: Source) -> None:
        try:
            while not (self._stopping.is_set() or source.exhausted):
                document = source.receive(WAIT_S)
                self._note_connection(source)
                if document is not None:
                    self._offer(document, source)
            cut = source.comes_again or not source.exhausted
        finally:
            source.close()
        self._put(self._documents, _Ended(source.address, source.can_wait and cut))

    def _note_connection(self, source: Source) -> None:
        if not source.connected:
            self._connected_since.pop(source.address, None)
        elif source.address not in self._connected_since:
            self._connected_since[source.address] = time.monotonic()

    def _offer(self, document: Document, source: Source) -> None:
        item = (document, source.address)
        if not source.can_wait:
            try:
                self._documents.put_nowait(item)
            except queue.Full:
                self._counters.add("documents_missed_total", source=source.address)
            return
        # Half of the queue is kept for sources that cannot wait.
        while self._documents.qsize() > self._limits.document_queue // 2:
            if self._broken.wait(WAIT_S / 10):
                return
        self._put(self._documents, item)

    def _put(self, target: "queue.Queue[Item]", item: Item) -> None:
        while not self._broken.is_set():
            with suppress(queue.Full):
                target.put(item, timeout=WAIT_S)
                return

    def _assemble(self) -> None:
        waiting: list[_Sweep] = []
        due = float("inf")
        running = len(self._sources)
        while running and not self._broken.is_set():
            try:
                item = self._documents.get(timeout=self._patience(due))
            except queue.Empty:
                pass
            else:
                if isinstance(item, _Ended):
                    running -= 1
                    if item.forget:
                        self._assembler.forget_open_runs(item.address)
                else:
                    waiting += self._sweeps(*item)
            waiting += self._chores()
            if waiting and due == float("inf"):
                due = time.monotonic() + self._limits.max_wait_s
            if len(waiting) >= self._limits.max_batch or time.monotonic() >= due:
                waiting, due = self._flush(waiting), float("inf")
        for source in self._sources:
            waiting += _now(self._assembler.close_open_runs(source.address))
        self._flush(waiting)
        self._put(self._batches, None)

    def _patience(self, due: float) -> float:
        return max(0.0, min(WAIT_S, due - time.monotonic()))

    def _sweeps(self, document: Document, source: str) -> list[_Sweep]:
        spectra = self._assembler.receive(document.name, document.doc, source)
        return [_Sweep(spectrum, document.received_s) for spectrum in spectra]

    def _chores(self) -> list[_Sweep]:
        """Now and then: let go of runs that nobody finishes."""
        now = time.monotonic()
        if now < self._chores_due:
            return []
        self._chores_due = now + CHORES_EVERY_S
        return _now(self._assembler.release_idle_runs())

    def _flush(self, waiting: list[_Sweep]) -> list[_Sweep]:
        for first in range(0, len(waiting), self._limits.max_batch):
            self._put(self._batches, waiting[first : first + self._limits.max_batch])
        return []

    def _estimate(self) -> None:
        while not self._broken.is_set():
            try:
                batch = self._batches.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            if batch is None:
                self.finished.set()
                return
            profiles = dict.fromkeys(sweep.spectrum.profile for sweep in batch)
            for profile in profiles:
                self._publish(
                    self._engines[profile],
                    [sweep for sweep in batch if sweep.spectrum.profile == profile],
                )

    def _publish(self, engine: Estimator, sweeps: Sequence[_Sweep]) -> None:
        """Estimate sweeps of one profile and append the results to the log."""
        duration = partial(self._counters.observe, "stage_duration_seconds")
        started = time.monotonic()
        estimates = engine.estimate([sweep.spectrum for sweep in sweeps])
        computed = time.monotonic()
        waited = [computed - sweep.received_s for sweep in sweeps]
        self._log.append(estimates, waited, engine.device)
        appended = time.monotonic()
        duration(started - min(s.received_s for s in sweeps), stage="queue")
        duration(computed - started, stage="engine")
        duration(appended - computed, stage="log")
        self._log.trim(self._limits.log_bytes)
        self._counters.observe("batch_size", len(sweeps))
        for estimate, sweep in zip(estimates, sweeps, strict=True):
            self._count(estimate, appended - sweep.received_s)

    def _count(self, estimate: Estimate, latency_s: float) -> None:
        counters = self._counters
        counters.observe("result_latency_seconds", latency_s)
        counters.add("estimates_total", verdict=estimate.verdict)
        for name, descriptor in estimate.descriptors.items():
            counters.observe("descriptor_std", descriptor.std, descriptor=name)


def _now(spectra: Sequence[Spectrum]) -> list[_Sweep]:
    """Sweeps closed without a last document: their latency counts from here."""
    return [_Sweep(spectrum, time.monotonic()) for spectrum in spectra]
