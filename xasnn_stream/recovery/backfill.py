"""Reads runs again that have no complete result, from where runs are stored."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from xasnn_stream.assembly.matching import choose
from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.errors import SourceError
from xasnn_stream.recovery.missing import FIRST_DELAY_S, LONGEST_DELAY_S, Missing
from xasnn_stream.results import ResultLog
from xasnn_stream.sources.document import Document, Intake
from xasnn_stream.sources.store import Store, StoredRun, UnreadableRunError
from xasnn_stream.telemetry.counters import Counters

logger = logging.getLogger(__name__)

LOOK_BACK_S = 7 * 24 * 3600.0
"""Runs that started longer before the daemon are left alone."""
LONGEST_RUN_S = 6 * 3600.0
"""After the first look at a store, later ones go back by this: no run takes longer."""
FAILURES = 3
"""Runs in a row that the store fails to give, before it is left in peace for a while."""


class Backfill:
    """A source of stored runs that match a profile and lack a complete result.

    It looks at the whole store at its start, when `missing` asks for it, and every
    minute; for single runs whenever they are due. What it recovers has the id the live
    result would have had, so reading a run once too often changes nothing. Only runs
    whose stop is stored are read. A store that cannot be reached is tried again.
    """

    can_wait = True

    def __init__(
        self,
        address: str,
        open_store: Callable[[], Store],
        settings: list[AssemblySettings],
        log: ResultLog,
        missing: Missing,
        counters: Counters,
    ) -> None:
        self.address = f"backfill {address}"
        self._open_store = open_store
        self._settings = settings
        self._log = log
        self._missing = missing
        self._intake = Intake(self.address, counters)
        self._store: Store | None = None
        self._runs: Iterator[StoredRun] = iter(())
        self._documents: deque[tuple[str, dict[str, Any]]] = deque()
        self._looked_at: float | None = None
        self._failures = 0
        self._pause_s = FIRST_DELAY_S
        self._retry_at = 0.0
        self._finishing = threading.Event()
        self._last_look = False
        self._exhausted = False

    def finish(self) -> None:
        """Look once more for what is missing, then be exhausted; from any thread."""
        self._finishing.set()

    @property
    def exhausted(self) -> bool:
        """Whether it was told to finish and has."""
        return self._exhausted

    @property
    def connected(self) -> bool:
        """Whether the store is open."""
        return self._store is not None

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None if there is none within `timeout_s`.

        A request to the store may take longer: its client's own timeouts bound it.
        """
        while self._documents:
            document = self._intake.accept(*self._documents.popleft())
            if document is not None:
                return document
        waits = time.monotonic() < self._retry_at and not self._finishing.is_set()
        if self._exhausted or waits:
            time.sleep(timeout_s)
            return None
        try:
            run = next(self._runs, None)
            if run is not None:
                self._fetch(run)
            elif not self._begin():
                time.sleep(timeout_s)
        except SourceError as error:
            self._leave(error)
        return None

    def close(self) -> None:
        """Close the store; may be called twice."""
        self._intake.connected(False)
        self._runs = iter(())
        if self._store is not None:
            self._store.close()
            self._store = None

    def _begin(self) -> bool:
        """Begin to look at the store if there is a reason to."""
        if self._finishing.is_set() and not self._missing.busy:
            if self._last_look:
                self._exhausted = True
                return False
            self._last_look = True
            self._missing.everything_due()
        if not (self._missing.scan_due() or self._missing.due()):
            return False
        self._runs = self._look()
        return True

    def _look(self) -> Iterator[StoredRun]:
        """Yield the runs to be read; SourceError when the store does not answer."""
        store = self._opened()
        yield from self._known(store)
        if not self._missing.scan_due():
            return
        self._missing.scan_begun()
        began = time.time()
        for run in store.finished_runs(self._since(began)):
            # A long look must not hold up a run that was lost just now.
            yield from self._known(store)
            if self._wants(run.start):
                yield run
        self._looked_at = began

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
            self._intake.connected(True)
        return self._store

    def _since(self, now: float) -> float:
        if self._looked_at is None:
            return now - LOOK_BACK_S
        return self._looked_at - LONGEST_RUN_S

    def _known(self, store: Store) -> Iterator[StoredRun]:
        for uid in self._missing.due():
            if not self._missing.may_read(uid):
                continue
            if self._log.has_complete(uid):
                self._missing.complete(uid)
                continue
            try:
                run = store.finished_run(uid)
            except SourceError as error:
                self._fail(uid, error)
                continue
            if run is None:
                self._missing.later(uid)
            elif choose(run.start, self._settings) is None:
                self._missing.ignore(uid)
            else:
                yield run

    def _wants(self, start: Mapping[str, Any]) -> bool:
        uid = start.get("uid")
        return (
            isinstance(uid, str)
            and choose(start, self._settings) is not None
            and self._missing.may_read(uid)
            and not self._log.has_complete(uid)
        )

    def _fetch(self, run: StoredRun) -> None:
        """Get a run's documents; one that fails holds up no other."""
        uid = str(run.start.get("uid"))
        try:
            documents = run.documents()
        except UnreadableRunError as error:
            self._intake.reject("body", str(error))
            logger.warning("run %s cannot be recovered: %s", uid, error)
            self._missing.give_up(uid)
            return
        except SourceError as error:
            self._fail(uid, error)
            return
        self._failures, self._pause_s = 0, FIRST_DELAY_S
        logger.info("run %s has no complete result; reading it from the store", uid)
        self._missing.reading(uid)
        self._documents.extend(documents)

    def _fail(self, uid: str, error: SourceError) -> None:
        """Put off a run; raise the error if it seems to be the store's, not the run's."""
        self._missing.later(uid)
        self._failures += 1
        if self._failures >= FAILURES:
            raise error
        logger.warning("run %s cannot be recovered yet: %s", uid, error)

    def _leave(self, error: SourceError) -> None:
        """Close a store that does not answer, to open it again later."""
        logger.warning("%s; recovery goes on in %.0f s", error, self._pause_s)
        self._retry_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_DELAY_S)
        self._failures = 0
        self._missing.look()
        self.close()
        self._exhausted = self._last_look
