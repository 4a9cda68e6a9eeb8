"""The series as its audience sees it: truths announced, results from the feed."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from xasnn_stream.client import Result, Subscription
from xasnn_stream.simulation.scoring import Sighting

JOIN_S = 5.0

OnResult = Callable[[int, Sighting], None]


class Audience:
    """Joins what is announced with what comes over the feed.

    Give `documents` to the RunEngine. A thread `xasnn-audience` owns the subscription
    from `start` to `close` and calls `on_result` with the sweep's number, from 1, and
    its sighting as each arrives.
    """

    def __init__(self, subscription: Subscription, on_result: OnResult) -> None:
        self._subscription = subscription
        self._on_result = on_result
        self._truths: dict[str, Mapping[str, float]] = {}
        self._stops: dict[str, float] = {}
        self._results: dict[str, tuple[Result, float]] = {}
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._listen, name="xasnn-audience")

    def documents(self, name: str, document: Any) -> None:
        """Note the truth in a start document and the time of a stop document."""
        with self._changed:
            if name == "start":
                self._truths[document["uid"]] = document["simulation"]["truth"]
            elif name == "stop":
                self._stops[document["run_start"]] = document["time"]

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until every announced sweep has its result; False when time ran out."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: self._error or len(self._results) == len(self._truths),
                timeout_s,
            )
        if self._error:
            raise self._error
        return bool(done)

    def sightings(self) -> dict[str, Sighting]:
        """Return what was seen of every sweep, by run uid, in order of the series."""
        with self._changed:
            return {uid: self._sighting(uid) for uid in self._truths}

    def close(self) -> None:
        """Stop listening, and wait for the thread."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _listen(self) -> None:
        try:
            while not self._ending.is_set():
                # The iteration ends whenever the feed is silent for its timeout.
                for result in self._subscription:
                    self._receive(result, time.time())
        except Exception as error:  # whatever it is, whoever waits raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _receive(self, result: Result, arrived: float) -> None:
        uid = result.estimate["run"]["uid"]
        with self._changed:
            if uid not in self._truths or not result.estimate["run"]["complete"]:
                return
            self._results[uid] = (result, arrived)
            number = list(self._truths).index(uid) + 1
            sighting = self._sighting(uid)
        self._on_result(number, sighting)
        with self._changed:
            self._changed.notify_all()

    def _sighting(self, uid: str) -> Sighting:
        if uid not in self._results:
            return Sighting(self._truths[uid])
        result, arrived = self._results[uid]
        stopped = self._stops.get(uid)
        return Sighting(
            truth=self._truths[uid],
            estimate=result.estimate,
            latency_s=result.latency_s,
            stop_to_feed_s=None if stopped is None else arrived - stopped,
        )
