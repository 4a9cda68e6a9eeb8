"""One thread per sink, following its cursor through the result log."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from xasnn_stream.errors import RefusedError, SinkError
from xasnn_stream.results import Delivery, ResultLog
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.telemetry.watched import Failed, join_thread, start_thread

logger = logging.getLogger(__name__)

BATCH = 16
"""Rows delivered at once; a stop waits for the end of a delivery."""
IDLE_S = 0.2
"""How often a sink with nothing to do gets to run its own errands."""
RETRY_S = (0.5, 30.0)
"""First and longest pause after a failed delivery; each failure doubles it."""

REFUSALS = 5
"""Attempts at what a sink refuses, before the rest of the log goes on without it."""


class Sink(Protocol):
    """Where results go; every method is called from one thread, the follower's.

    `deliver` raises SinkError when it is not certain that all rows arrived; the same
    rows then come again, and again after a crash, so a delivery must be repeatable.
    RefusedError says that a row will not be taken however often it comes.
    """

    name: str

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver rows in order; raise SinkError if any of them may be missing."""
        ...

    def idle(self) -> None:
        """Do what is due when there is nothing to deliver."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class Follower:
    """Delivers every row of the log to one sink, in order.

    None is skipped but those the sink keeps refusing, which are counted and logged.
    """

    def __init__(
        self, sink: Sink, log: ResultLog, counters: Counters, failed: Failed
    ) -> None:
        self.sink = sink
        self._log = log
        self._counters = counters
        self._stopping = threading.Event()
        self._flush_until = float("inf")
        self._cursor = log.cursor(sink.name)
        counters.add("sink_errors_total", 0, sink=sink.name)
        counters.add("sink_refused_total", 0, sink=sink.name)
        self._thread = start_thread(f"sink-{sink.name}", self._follow, failed)

    @property
    def pending(self) -> int:
        """How far the sink is behind the log, in rows."""
        return max(self._log.newest - self._cursor, 0)

    def show_pending(self) -> None:
        """Set the gauge of what is pending; from any thread."""
        self._counters.set("sink_pending", self.pending, sink=self.sink.name)

    def stop(self, flush_s: float, timeout_s: float) -> bool:
        """Deliver what is pending for up to `flush_s`, close the sink, end the thread.

        Returns whether everything was delivered; what was not comes at the next start.
        """
        self._flush_until = time.monotonic() + flush_s
        self._stopping.set()
        ended = join_thread(self._thread, flush_s + timeout_s)
        if self.pending:
            logger.warning(
                "sink %s: %d results were not delivered; the next start delivers them",
                self.sink.name,
                self.pending,
            )
        return ended and not self.pending

    def _follow(self) -> None:
        try:
            while self._keep_going():
                if self._log.wait(self._cursor, IDLE_S):
                    newest = self._log.newest
                    batch = self._log.read(self._cursor, BATCH)
                    # No rows although the log is ahead: trimmed before this sink came.
                    if not batch or self._deliver(batch):
                        self._advance(batch[-1].seq if batch else newest)
                else:
                    self.sink.idle()
        finally:
            self.sink.close()

    def _keep_going(self) -> bool:
        if not self._stopping.is_set():
            return True
        return self.pending > 0 and time.monotonic() < self._flush_until

    def _deliver(self, batch: Sequence[Delivery]) -> bool:
        """Deliver a batch however often it takes; False if stopped before it was."""
        pause = RETRY_S[0]
        refusals = 0
        while True:
            try:
                self.sink.deliver(batch)
            except SinkError as error:
                self._counters.add("sink_errors_total", sink=self.sink.name)
                refusals += isinstance(error, RefusedError)
                if refusals == REFUSALS:
                    return self._deliver_without_refused(batch, error)
                logger.warning(
                    "sink %s: %s; %d results wait, next attempt in %.1f s",
                    self.sink.name,
                    error,
                    self.pending,
                    pause,
                )
            else:
                return True
            if not self._pause(pause):
                return False
            pause = min(2 * pause, RETRY_S[1])

    def _deliver_without_refused(
        self, batch: Sequence[Delivery], error: SinkError
    ) -> bool:
        """Deliver one by one what was refused together; pass over a row alone."""
        if len(batch) > 1:
            return all(self._deliver([delivery]) for delivery in batch)
        self._counters.add("sink_refused_total", sink=self.sink.name)
        logger.error(
            "sink %s: result %s is passed over, it stays in the log only: %s",
            self.sink.name,
            batch[0].estimate["id"],
            error,
        )
        return True

    def _advance(self, seq: int) -> None:
        self._cursor = seq
        self._log.advance(self.sink.name, seq)

    def _pause(self, seconds: float) -> bool:
        """Wait before another attempt; False if there shall be none."""
        if self._stopping.wait(seconds):
            left = self._flush_until - time.monotonic()
            time.sleep(max(0.0, min(seconds, left)))
        return self._keep_going()
