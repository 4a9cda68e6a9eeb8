"""The thread that assembles, and what starts and stops all three kinds of threads."""

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.orphans import Orphan
from xasnn_stream.partials import Partials
from xasnn_stream.pipeline.estimation import Estimation, Estimator
from xasnn_stream.pipeline.flow import (
    WAIT_S,
    Course,
    Limits,
    Sweep,
    Unended,
    Work,
)
from xasnn_stream.pipeline.reception import Ended, Received, Reception
from xasnn_stream.recovery.backfill import Backfill
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.results import ResultLog
from xasnn_stream.sources.document import Source
from xasnn_stream.spectrum import Spectrum
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.telemetry.watched import Failed, join_thread, start_thread

logger = logging.getLogger(__name__)

CHORES_EVERY_S = 1.0
"""How often runs that grew are shown, and those that fell silent released."""
FILES_EVERY_S = WAIT_S
"""How often files that runs wait for are looked for."""
LEAVE_S = 1.0
"""How long a stop waits for a store to end the request it is in."""


class Pipeline:
    """The threads between the sources and the result log.

    `failed` is called, from the thread concerned, when one dies: the process must end
    then, for what was on its way is lost and a restart reads it again. `backfill` is
    one more source, which ends after all others; it and the pipeline share `missing`.
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
        *,
        backfill: Backfill | None = None,
        missing: Missing | None = None,
        partials: Partials | None = None,
    ) -> None:
        self._course = Course()
        self.finished = self._course.finished
        """Set once all sources ended and everything from them is in the log."""
        self._assembler = assembler
        self._counters = counters
        self._report = failed
        self._limits = limits or Limits()
        self._backfill = backfill
        self._missing = missing or Missing()
        self._sources = [*sources, *([backfill] if backfill else [])]
        self._live = {s.address for s in sources if not s.can_wait}
        self._reception = Reception(
            self._sources,
            counters,
            self._missing,
            self._course,
            self._limits.document_queue,
        )
        self._estimation = Estimation(
            engines,
            log,
            partials or Partials(),
            self._missing,
            counters,
            self._course,
            self._limits,
            backfill.address if backfill else None,
        )
        self._heard: set[tuple[str, str]] = set()
        self._chores_due = 0.0
        self._files_due = 0.0
        self._taken_until_s = 0.0
        self._threads: list[threading.Thread] = []
        self._stored: list[threading.Thread] = []
        for name, capacity in (
            ("documents", self._limits.document_queue),
            ("batches", self._limits.batch_queue),
        ):
            counters.set("queue_capacity", capacity, queue=name)

    def start(self) -> None:
        """Start the threads, the last station first."""
        after = [
            start_thread("engine", self._estimation.run, self._failed),
            start_thread("pipeline", self._assemble, self._failed),
        ]
        receivers = self._reception.start(self._failed)
        live = [thread for source, thread in receivers if not source.can_wait]
        self._stored = [thread for source, thread in receivers if source.can_wait]
        self._threads = [*live, *reversed(after)]

    def stop(self, timeout_s: float) -> bool:
        """Close the sources and bring what was received into the log.

        Runs of live sources still open become incomplete results; those of a store
        are forgotten, for it still has them. Returns False if that took longer than
        `timeout_s`: what is on its way then is counted in the log and dropped.
        """
        self._course.stopping.set()
        deadline = time.monotonic() + timeout_s
        ended = [join_thread(t, deadline - time.monotonic()) for t in self._threads]
        self._leave_stores()
        if all(ended):
            return True
        self._course.broken.set()
        logger.error(
            "not brought into the log within %.1f s: %d documents, %d sweeps, and what "
            "was being worked on",
            timeout_s,
            self._reception.received.qsize(),
            self._estimation.waiting,
        )
        return False

    def show_queues(self) -> None:
        """Set the gauges of queues and missing runs; from any thread."""
        depth = partial(self._counters.set, "queue_depth")
        depth(self._reception.received.qsize(), queue="documents")
        depth(self._estimation.batches.qsize(), queue="batches")
        self._counters.set("runs_incomplete", self._missing.count)

    def waits_for(self) -> list[str]:
        """Say which live sources are not connected, or only just."""
        return self._reception.waits_for()

    def _failed(self, thread: str, error: BaseException) -> None:
        self._course.broken.set()
        self._report(thread, error)

    def _leave_stores(self) -> None:
        """Let go of stores in mid-request: what they have is not lost."""
        deadline = time.monotonic() + LEAVE_S
        for thread in self._stored:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._course.abandoned.set()
                logger.info(
                    "%s is left in a request; the store keeps its runs", thread.name
                )

    def _assemble(self) -> None:
        waiting: list[Work] = []
        due = float("inf")
        running = list(self._sources)
        while (running or self._assembler.waits) and not self._course.broken.is_set():
            if self._backfill and running == [self._backfill]:
                self._backfill.finish()
            item = self._next(due)
            if isinstance(item, Received):
                waiting += self._works(item)
            elif isinstance(item, Ended):
                running.remove(item.source)
                waiting += self._let_go(item.source, cut=item.cut)
            elif self._course.stopping.is_set() and all(s.can_wait for s in running):
                break  # they may be in a request that takes longer than a stop may
            waiting += self._chores()
            if waiting and due == float("inf"):
                due = time.monotonic() + self._limits.max_wait_s
            if _sweeps_in(waiting) >= self._limits.max_batch or time.monotonic() >= due:
                waiting, due = self._flush(waiting), float("inf")
        for source in self._sources:
            waiting += self._let_go(source, cut=True)
        self._flush(waiting)
        self._estimation.end()

    def _next(self, due: float) -> Received | Ended | None:
        patience = max(0.0, min(WAIT_S, due - time.monotonic()))
        try:
            return self._reception.received.get(timeout=patience)
        except queue.Empty:
            return None

    def _works(self, item: Received) -> list[Work]:
        document, source = item.document, item.source.address
        name, doc = document.name, document.doc
        self._taken_until_s = max(self._taken_until_s, document.received_s)
        if name == "start" and item.source is self._backfill:
            # It may have been read before, when its store had less of it.
            self._assembler.forget_run(str(doc.get("uid")), source)
        spectra = self._assembler.receive(name, doc, source, document.received_s)
        if item.source is not self._backfill:
            self._note(name, doc, source)
        return self._with_ends(spectra, document.received_s)

    def _with_ends(
        self, spectra: Sequence[Spectrum], received_s: float | None = None
    ) -> list[Work]:
        """Return spectra as sweeps, and behind them the ends of their runs.

        The latency of sweeps without a last document counts from here, or from when
        their files were first waited for.
        """
        at = time.monotonic() if received_s is None else received_s
        sweeps = [Sweep(spectrum, at - spectrum.waited_s) for spectrum in spectra]
        ended = self._assembler.take_ended()
        self._heard.difference_update((end.source, end.uid) for end in ended)
        return [*sweeps, *ended]

    def _note(self, name: str, doc: Mapping[str, object], source: str) -> None:
        """Say which runs are being heard, so that recovery leaves them alone."""
        if name == "start":
            uid = str(doc.get("uid"))
            if self._assembler.is_open(uid, source):
                self._heard.add((source, uid))
                self._missing.heard(uid)
        elif name == "stop":
            self._missing.over(str(doc.get("run_start")))

    def _let_go(self, source: Source, *, cut: bool) -> list[Work]:
        """Close the open runs of a source, or forget them: a store still has them.

        What waits for its files goes on waiting, unless all of it is `cut`.
        """
        address = source.address
        if cut and source.can_wait:
            for uid in self._assembler.forget_open_runs(address):
                self._heard.discard((address, uid))
                self._missing.unheard(uid)
            return []
        spectra = self._assembler.close_open_runs(address, wait=not cut)
        return [*self._with_ends(spectra), *self._unended()]

    def _unended(self) -> list[Work]:
        """Return the runs heard that assembly has given up without an end."""
        gone = [
            key for key in self._heard if not self._assembler.is_open(key[1], key[0])
        ]
        self._heard.difference_update(gone)
        return [Unended(uid) for _, uid in gone]

    def _chores(self) -> list[Work]:
        """Now and then: show what grew, release what fell silent, tell what is unknown."""
        now = time.monotonic()
        if now < self._chores_due:
            return self._look_for_files(now)
        self._chores_due = now + CHORES_EVERY_S
        self._estimation.show(
            [
                Sweep(spectrum, received_s)
                for spectrum, received_s in self._assembler.partials(self._live)
            ]
        )
        for orphan in self._assembler.take_orphans(self._until_s(now)):
            self._tell(orphan)
        return [*self._released(now), *self._unended()]

    def _until_s(self, now: float) -> float:
        """Return up to when assembly knows what came: among what waits may be an end."""
        return now if self._reception.received.empty() else self._taken_until_s

    def _released(self, now: float) -> list[Work]:
        return self._with_ends(self._assembler.release_idle_runs(self._until_s(now)))

    def _look_for_files(self, now: float) -> list[Work]:
        if now < self._files_due:
            return []
        self._files_due = now + FILES_EVERY_S
        return self._released(now) if self._assembler.waits else []

    def _tell(self, orphan: Orphan) -> None:
        if orphan.uid is None:
            self._missing.look()
            return
        self._missing.unknown(orphan.uid)
        if not orphan.again:
            logger.warning(
                "%s: documents of run %s came without its start; %s",
                orphan.source,
                orphan.uid,
                "it is read from the backfill once it is over"
                if self._backfill
                else "it has no result, as no backfill is named",
            )

    def _flush(self, waiting: list[Work]) -> list[Work]:
        batch: list[Work] = []
        sweeps = 0
        for work in waiting:
            if isinstance(work, Sweep):
                if sweeps == self._limits.max_batch:
                    self._estimation.put(batch)
                    batch, sweeps = [], 0
                sweeps += 1
            batch.append(work)
        if batch:
            self._estimation.put(batch)
        return []


def _sweeps_in(works: Sequence[Work]) -> int:
    return sum(isinstance(work, Sweep) for work in works)
