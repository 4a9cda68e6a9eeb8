"""The thread that owns the device: batches of spectra in, results in the log."""

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from xasnn_stream.estimate import Estimate
from xasnn_stream.partials import Partials
from xasnn_stream.pipeline.flow import (
    WAIT_S,
    Course,
    Limits,
    Sweep,
    Unended,
    Work,
    put,
)
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.results import ResultLog
from xasnn_stream.spectrum import Reason, RunEnded, Spectrum
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

    def warm_up(self) -> None:
        """Compute something known; raises if the device or the model is broken."""
        ...

    def estimate(self, spectra: Sequence[Spectrum]) -> list[Estimate]:
        """Return one estimate per spectrum, in the same order."""
        ...


class Estimation:
    """The queue of batches, the slot of partial spectra, and what becomes of them.

    Partial spectra are estimated only while no batch waits; a newer one replaces that
    of the same run that had no turn. `recovered_from` is the address of the backfill.
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
        self.batches: queue.Queue[list[Work] | None] = queue.Queue(limits.batch_queue)
        self._engines = engines
        self._log = log
        self._partials = partials
        self._missing = missing
        self._counters = counters
        self._course = course
        self._log_bytes = limits.log_bytes
        self._recovered_from = recovered_from
        self._slot_lock = threading.Lock()
        self._slot: dict[tuple[str, str], Sweep] = {}

    @property
    def waiting(self) -> int:
        """How many sweeps are in the queue."""
        with self.batches.mutex:
            batches = [batch for batch in self.batches.queue if batch]
        return sum(isinstance(work, Sweep) for batch in batches for work in batch)

    def put(self, batch: list[Work]) -> None:
        """Have final spectra estimated, as soon as there is room for them."""
        with self._slot_lock:
            over = [key for key, shown in self._slot.items() if _is_over(shown, batch)]
            for key in over:
                del self._slot[key]
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
            sweeps = [work for work in batch if isinstance(work, Sweep)]
            for engine, alike in self._by_engine(sweeps):
                self._finish(engine, alike)
            self._end_runs([work for work in batch if not isinstance(work, Sweep)])

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
            estimates = _estimates(engine, [sweep.spectrum for sweep in sweeps])
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
        estimates = _estimates(engine, [sweep.spectrum for sweep in sweeps])
        computed = time.monotonic()
        waited = [computed - sweep.received_s for sweep in sweeps]
        before = self._log.newest
        # Before the log tells of them, or a partial could be sent after its final.
        self._partials.end(estimates)
        files = [sweep.spectrum.waited_s for sweep in sweeps]
        rows = self._log.append(estimates, waited, engine.device, files)
        appended = time.monotonic()
        handed_on = [s.received_s + s.spectrum.waited_s for s in sweeps]
        duration(started - min(handed_on), stage="queue")
        duration(computed - started, stage="engine")
        duration(appended - computed, stage="log")
        self._log.trim(self._log_bytes)
        self._counters.observe("batch_size", len(sweeps))
        for estimate, sweep, row in zip(estimates, sweeps, rows, strict=True):
            if row > before:
                self._count(estimate, appended - sweep.received_s)
            if sweep.spectrum.waited_s:
                duration(sweep.spectrum.waited_s, stage="files")

    def _end_runs(self, works: Sequence[RunEnded | Unended]) -> None:
        """Write the ends of runs, and say which of them still lack a complete result."""
        ended = [work for work in works if isinstance(work, RunEnded)]
        if ended:
            self._log.close_runs(ended)
        for work in works:
            self._partials.end_run(work.uid)
            recovered = isinstance(work, RunEnded) and (
                work.source == self._recovered_from
            )
            self._settle(work.uid, recovered=recovered)

    def _settle(self, uid: str, *, recovered: bool) -> None:
        if self._log.has_complete(uid):
            was_missing = self._missing.complete(uid)
            if recovered and was_missing:
                logger.info("run %s has its complete result from the store", uid)
                self._counters.add("runs_recovered_total")
        elif recovered:
            logger.warning("run %s is incomplete where it is stored, too", uid)
            self._missing.give_up(uid)
        else:
            self._missing.incomplete(uid)

    def _count(self, estimate: Estimate, latency_s: float) -> None:
        counters = self._counters
        counters.observe("result_latency_seconds", latency_s)
        counters.add("estimates_total", verdict=estimate.verdict)
        for name, descriptor in estimate.descriptors.items():
            counters.observe("descriptor_std", descriptor.std, descriptor=name)


def _estimates(engine: Estimator, spectra: Sequence[Spectrum]) -> list[Estimate]:
    """Return one estimate per spectrum; one that makes the engine fail is rejected alone.

    A restart would read it again, and fail again. If the engine fails without it, too, the
    process must end.
    """
    try:
        return engine.estimate(spectra)
    except Exception as error:  # whatever it is, it must not take other sweeps along
        engine.warm_up()
        if len(spectra) > 1:
            return [found for one in spectra for found in _estimates(engine, [one])]
        (spectrum,) = spectra
        if spectrum.problem is not None:
            raise
        run = spectrum.run
        logger.exception("sweep %d of run %s made the engine fail", run.sweep, run.uid)
        text = f"the engine failed on it: {error!r:.200}; the log has it whole"
        return engine.estimate([replace(spectrum, problem=Reason("failed", text))])


def _key(sweep: Sweep) -> tuple[str, str]:
    return sweep.spectrum.profile, sweep.spectrum.run.uid


def _is_over(shown: Sweep, batch: Sequence[Work]) -> bool:
    """Whether a partial spectrum is of a sweep, or run, that a batch has the end of."""
    run = shown.spectrum.run
    for work in batch:
        if not isinstance(work, Sweep):
            if work.uid == run.uid:
                return True
        elif _key(work) == _key(shown) and run.sweep <= work.spectrum.run.sweep:
            return True
    return False
