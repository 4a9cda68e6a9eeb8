"""The thread that owns the device: batches of spectra in, results in the log."""

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from xasnn_stream.estimate import Estimate
from xasnn_stream.partials import Partials
from xasnn_stream.pipeline.flow import WAIT_S, Course, Limits, Sweep, put
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.results import ResultLog
from xasnn_stream.spectrum import Spectrum
from xasnn_stream.telemetry.counters import Counters

logger = logging.getLogger(__name__)

PARTIALS_AT_ONCE = 8
"""Partial spectra of one batch: a final one that comes just then waits for no more."""


class Estimator(Protocol):
    """What the pipeline needs of an engine; one per profile."""

    @property
    def device(self) -> str:
        """Where it computes."""
        ...

    def estimate(self, spectra: Sequence[Spectrum]) -> list[Estimate]:
        """Return one estimate per spectrum, in the same order."""
        ...


class Estimation:
    """The queue of batches, the slot of partial spectra, and what becomes of them.

    Partial spectra are estimated only while no batch waits; a newer one replaces that
    of the same sweep that had no turn. `recovered_from` is the address of the backfill.
    """

    def __init__(
        self,
        engines: Mapping[str, Estimator],
        log: ResultLog,
        partials: Partials,
        missing: Missing,
        counters: Counters,
        course: Course,
        limits: Limits,
        recovered_from: str | None,
    ) -> None:
        # None says that there are no more.
        self.batches: queue.Queue[list[Sweep] | None] = queue.Queue(limits.batch_queue)
        self._engines = engines
        self._log = log
        self._partials = partials
        self._missing = missing
        self._counters = counters
        self._course = course
        self._log_bytes = limits.log_bytes
        self._recovered_from = recovered_from
        self._slot_lock = threading.Lock()
        self._slot: dict[tuple[str, str, int], Sweep] = {}

    @property
    def waiting(self) -> int:
        """How many sweeps are in the queue."""
        with self.batches.mutex:
            return sum(len(batch or ()) for batch in self.batches.queue)

    def put(self, batch: list[Sweep]) -> None:
        """Have final spectra estimated, as soon as there is room for them."""
        with self._slot_lock:
            for sweep in batch:
                self._slot.pop(_key(sweep), None)
        put(self.batches, batch, self._course)

    def end(self) -> None:
        """Say that no more batches come."""
        put(self.batches, None, self._course)

    def show(self, partials: Sequence[Sweep]) -> None:
        """Have partial spectra, newest first, estimated when nothing else is to do."""
        with self._slot_lock:
            for sweep in reversed(partials):
                self._slot.pop(_key(sweep), None)
                self._slot[_key(sweep)] = sweep
            while len(self._slot) > PARTIALS_AT_ONCE:
                del self._slot[next(iter(self._slot))]

    def run(self) -> None:
        """Estimate until the end; the target of the thread that owns the device."""
        while not self._course.broken.is_set():
            try:
                if self.batches.empty():
                    self._estimate_partials()
                batch = self.batches.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            if batch is None:
                self._course.finished.set()
                return
            for engine, sweeps in self._by_engine(batch):
                self._finish(engine, sweeps)

    def _by_engine(
        self, sweeps: Sequence[Sweep]
    ) -> list[tuple[Estimator, list[Sweep]]]:
        profiles = dict.fromkeys(sweep.spectrum.profile for sweep in sweeps)
        return [
            (self._engines[name], [s for s in sweeps if s.spectrum.profile == name])
            for name in profiles
        ]

    def _estimate_partials(self) -> None:
        with self._slot_lock:
            slot, self._slot = self._slot, {}
        for engine, sweeps in self._by_engine(list(slot.values())):
            started = time.monotonic()
            estimates = engine.estimate([sweep.spectrum for sweep in sweeps])
            published = time.monotonic()
            waited = [published - sweep.received_s for sweep in sweeps]
            self._partials.publish(estimates, waited, engine.device)
            self._counters.observe(
                "stage_duration_seconds", published - started, stage="partial"
            )

    def _finish(self, engine: Estimator, sweeps: Sequence[Sweep]) -> None:
        """Estimate sweeps of one profile and append the results to the log."""
        duration = partial(self._counters.observe, "stage_duration_seconds")
        started = time.monotonic()
        estimates = engine.estimate([sweep.spectrum for sweep in sweeps])
        computed = time.monotonic()
        waited = [computed - sweep.received_s for sweep in sweeps]
        before = self._log.newest
        # Before the log tells of them, or a partial could be sent after its final.
        self._partials.end(estimates)
        rows = self._log.append(estimates, waited, engine.device)
        appended = time.monotonic()
        duration(started - min(s.received_s for s in sweeps), stage="queue")
        duration(computed - started, stage="engine")
        duration(appended - computed, stage="log")
        self._log.trim(self._log_bytes)
        self._counters.observe("batch_size", len(sweeps))
        for estimate, sweep, row in zip(estimates, sweeps, rows, strict=True):
            self._settle(estimate, is_new=row > before)
            if row > before:
                self._count(estimate, appended - sweep.received_s)

    def _settle(self, estimate: Estimate, *, is_new: bool) -> None:
        """Say whether the run still lacks a complete result."""
        run = estimate.run
        recovered = run.source == self._recovered_from
        if run.complete or self._log.has_complete(run.uid):
            self._missing.complete(run.uid)
            if recovered and is_new:
                logger.info("run %s has its complete result from the store", run.uid)
                self._counters.add("runs_recovered_total")
        elif recovered:
            logger.warning("run %s is incomplete where it is stored, too", run.uid)
            self._missing.give_up(run.uid)
        else:
            self._missing.incomplete(run.uid)

    def _count(self, estimate: Estimate, latency_s: float) -> None:
        counters = self._counters
        counters.observe("result_latency_seconds", latency_s)
        counters.add("estimates_total", verdict=estimate.verdict)
        for name, descriptor in estimate.descriptors.items():
            counters.observe("descriptor_std", descriptor.std, descriptor=name)


def _key(sweep: Sweep) -> tuple[str, str, int]:
    run = sweep.spectrum.run
    return sweep.spectrum.profile, run.uid, run.sweep
