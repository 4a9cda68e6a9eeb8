"""The same pipeline over stored runs, to their end."""

import queue
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.files import Files
from xasnn_stream.errors import SinkError, SourceError, UsageError, XasnnError
from xasnn_stream.estimate import Estimate
from xasnn_stream.pipeline import Pipeline
from xasnn_stream.profile.prepare import load_engines, load_profiles
from xasnn_stream.results import LOG_NAME, ResultLog
from xasnn_stream.sinks.follow import Follower
from xasnn_stream.sinks.open import open_sinks
from xasnn_stream.sources.open import open_source
from xasnn_stream.sources.paced import PacedSource
from xasnn_stream.sources.selection import Selection
from xasnn_stream.telemetry.counters import Counters

if TYPE_CHECKING:
    from xasnn_stream.engine.resident import Engine
    from xasnn_stream.spectrum import Spectrum

HELD = 1000
"""Estimates waiting to be printed; beyond it the engine waits."""
WAIT_S = 0.2
STOP_S = 15.0
"""Longer than a sink may take for the request it is in."""
PATIENCE_S = 60.0
"""A sink that delivers nothing for this long has failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """Which runs to replay, with what, and where results go besides the caller.

    `state` is the folder of the result log, None for a temporary one; `speed` how much
    faster than they were taken documents come, None for as fast as they can be read.
    `files` are those that documents may refer to.
    """

    profiles: Sequence[str]
    overrides: Mapping[str, object]
    source: str
    selection: Selection
    reference: str | None
    results: str | None
    feed: str | None
    state: Path | None
    speed: float | None = None
    files: Files = field(default_factory=Files)


def replay(request: Request) -> Iterator[Estimate]:
    """Yield the estimate of every sweep of the selected runs.

    The iterator ends when all results are in the log and delivered. Raises XasnnError
    when that fails, and when no run matched.
    """
    profiles = load_profiles(request.profiles, request.overrides)
    counters = Counters()
    failures: queue.Queue[tuple[str, BaseException]] = queue.Queue(maxsize=100)

    def failed(thread: str, error: BaseException) -> None:
        failures.put((thread, error), timeout=WAIT_S)

    with ExitStack() as stack:
        source = open_source(request.source, counters, request.selection)
        stack.callback(source.close)
        if not source.can_wait:
            raise UsageError(f"{request.source} is live; use `xasnn-stream run`")
        if request.speed is not None:
            source = PacedSource(source, request.speed)
        state = request.state or Path(stack.enter_context(_temporary_state()))
        log = ResultLog(state / LOG_NAME)
        stack.callback(log.close)
        engines = load_engines(profiles, request.reference)
        models = {e.model_name: e.descriptors for e in engines.values()}
        followers = [
            Follower(sink, log, counters, failed)
            for sink in open_sinks(request.feed, request.results, models)
        ]
        for follower in followers:
            stack.callback(follower.stop, 0.0, STOP_S)
        tee = _Tee()
        pipeline = Pipeline(
            [source],
            Assembler(
                [profile.assembly for profile in profiles],
                counters,
                files=request.files,
            ),
            {name: tee.around(engine) for name, engine in engines.items()},
            log,
            counters,
            failed,
        )
        stack.callback(pipeline.stop, STOP_S)
        stack.callback(tee.close)
        pipeline.start()
        count = 0
        for estimate in tee.estimates(pipeline.finished, failures):
            count += 1
            yield estimate
        if not count:
            raise SourceError(
                f"no run in {request.source} was selected and matched "
                f"{', '.join(request.profiles)}"
            )
        _deliver_all(followers, failures)


def _temporary_state() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="xasnn-replay-")


def _deliver_all(
    followers: Sequence[Follower],
    failures: "queue.Queue[tuple[str, BaseException]]",
) -> None:
    for follower in followers:
        pending, since = follower.pending, time.monotonic()
        while pending:
            _raise_failure(failures)
            time.sleep(WAIT_S / 4)
            if follower.pending < pending:
                pending, since = follower.pending, time.monotonic()
            elif time.monotonic() - since > PATIENCE_S:
                raise SinkError(
                    f"{pending} results could not be delivered to {follower.sink.name}"
                )


def _raise_failure(failures: "queue.Queue[tuple[str, BaseException]]") -> None:
    if not failures.empty():
        thread, error = failures.get_nowait()
        raise XasnnError(f"the replay failed in thread {thread}: {error}") from error


class _Tee:
    """Hands on what engines estimate, to be seen while the replay goes on."""

    def __init__(self) -> None:
        self._held: queue.Queue[Estimate] = queue.Queue(HELD)
        self._closed = threading.Event()

    def around(self, engine: "Engine") -> "_Overheard":
        """Return an engine whose estimates are handed on."""
        return _Overheard(engine, self)

    def put(self, estimate: Estimate) -> None:
        while not self._closed.is_set():
            try:
                self._held.put(estimate, timeout=WAIT_S)
            except queue.Full:
                continue
            return

    def estimates(
        self,
        finished: threading.Event,
        failures: "queue.Queue[tuple[str, BaseException]]",
    ) -> Iterator[Estimate]:
        while True:
            # Looked at first: what was put before the end is still taken.
            ended = finished.is_set()
            _raise_failure(failures)
            try:
                while True:
                    yield self._held.get(timeout=0 if ended else WAIT_S / 4)
            except queue.Empty:
                if ended:
                    return

    def close(self) -> None:
        self._closed.set()


class _Overheard:
    def __init__(self, engine: "Engine", tee: _Tee) -> None:
        self._engine = engine
        self._tee = tee

    @property
    def device(self) -> str:
        return self._engine.device

    def warm_up(self) -> None:
        self._engine.warm_up()

    def estimate(self, spectra: "Sequence[Spectrum]") -> list[Estimate]:
        estimates = self._engine.estimate(spectra)
        for estimate in estimates:
            self._tee.put(estimate)
        return estimates
