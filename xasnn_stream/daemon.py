"""The service: start in order, be ready, stop in order; on any surprise, end.

There is no repair inside a broken process. A thread that dies ends the daemon, the
service manager starts it again, and log, cursors and recovery continue where it was.
"""

import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xasnn_stream import __version__
from xasnn_stream.allocator import keep_freed_memory
from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.decoders.growing import prepare_growing_files
from xasnn_stream.assembly.files import Files
from xasnn_stream.errors import UsageError
from xasnn_stream.partials import Partials
from xasnn_stream.pipeline import Pipeline
from xasnn_stream.profile.prepare import load_engines, load_profiles
from xasnn_stream.recovery.backfill import Backfill
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.results import LOG_NAME, ResultLog
from xasnn_stream.sinks.follow import Follower
from xasnn_stream.sinks.open import open_sinks
from xasnn_stream.sources.document import Source
from xasnn_stream.sources.open import (
    check_store,
    open_source,
    open_store,
    pickle_sources,
)
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.web.app import Views, build_app
from xasnn_stream.web.server import WebServer

if TYPE_CHECKING:
    from xasnn_stream.engine.resident import Engine

logger = logging.getLogger(__name__)

DRAIN_S = 10.0
FLUSH_S = 5.0
JOIN_S = 15.0
"""Longer than a sink may take for the request it is in."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a daemon runs and what it talks to; nothing here changes numbers.

    `feed`, `http`, `results`, `backfill` and `reference` may be None: without. `files`
    are those that documents may refer to.
    """

    profiles: Sequence[str]
    overrides: Mapping[str, object]
    sources: Sequence[str]
    feed: str | None
    http: str | None
    results: str | None
    backfill: str | None
    reference: str | None
    state: Path
    allow_pickle: Sequence[str] = ()
    files: Files = field(default_factory=Files)


def serve(deployment: Deployment) -> int:
    """Run until a signal or the end of all sources; return the exit code.

    It is 1 if documents were lost in stopping, else 0.

    Raises XasnnError when it cannot start. A thread that dies ends the process.
    """
    # A list, because a handler must not take a lock that the main thread may hold.
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    # Sinks retry by themselves; the Tiled client's own 45 s would outlast a shutdown.
    os.environ.setdefault("TILED_RETRY_TIMEOUT", "5")
    keep_freed_memory()
    with ExitStack() as stack:
        daemon = Daemon(deployment, stack, _end_process)
        daemon.start()
        while not signals and not daemon.finished:
            time.sleep(0.05)
        why = signal.Signals(signals[0]).name if signals else "all sources ended"
        logger.info("stopping: %s", why)
    if daemon.lost:
        logger.error("stopped, but not all documents received have a result")
        return 1
    logger.info("stopped")
    return 0


def _end_process(thread: str, error: BaseException) -> None:
    """End at once; nothing may be written by a process that is no longer whole."""
    logger.critical("the daemon ends because thread xasnn-%s died", thread)
    logging.shutdown()
    os._exit(1)


class Daemon:
    """Owns everything that runs; `stack` releases it in the reverse order of start."""

    def __init__(self, deployment: Deployment, stack: ExitStack, failed: Any) -> None:
        self.lost = False
        """Whether documents were lost in stopping; known once `stack` is unwound."""
        self._deployment = deployment
        self._stack = stack
        self._failed = failed
        self._counters = Counters()
        self._started = time.time()
        self._profiles = load_profiles(deployment.profiles, deployment.overrides)
        if not deployment.sources:
            raise UsageError(
                "name where documents come from, for example "
                "--source zmq://127.0.0.1:5568"
            )
        self._trusted = pickle_sources(deployment.sources, deployment.allow_pickle)
        if deployment.backfill is not None:
            check_store(deployment.backfill)
        self._engines: dict[str, Engine] = {}
        self._sources: list[Source] = []
        self._followers: list[Follower] = []
        self._pipeline: Pipeline | None = None
        self._missing = Missing()
        self._partials = Partials()
        self._log = ResultLog(deployment.state / LOG_NAME)
        stack.callback(self._log.close)
        self._counters.set("build_info", 1, version=__version__)

    def start(self) -> None:
        """Serve HTTP, load the models, then let sinks and documents in."""
        deployment = self._deployment
        if deployment.http is not None:
            self._serve_http(deployment.http)
        self._engines = load_engines(self._profiles, deployment.reference)
        for engine in self._engines.values():
            self._counters.set(
                "model_info", 1, name=engine.model_name, sha256=engine.model_sha256
            )
        if deployment.files.roots:
            prepare_growing_files()
        self._follow_log()
        self._sources = self._open_sources()
        self._pipeline = Pipeline(
            self._sources,
            Assembler(
                [p.assembly for p in self._profiles],
                self._counters,
                files=deployment.files,
            ),
            self._engines,
            self._log,
            self._counters,
            self._failed,
            backfill=self._open_backfill(),
            missing=self._missing,
            partials=self._partials,
        )
        self._stack.callback(self._stop_pipeline, self._pipeline)
        self._pipeline.start()
        self._announce()

    @property
    def finished(self) -> bool:
        """Whether all sources ended and their results are in the log."""
        return self._pipeline is not None and self._pipeline.finished.is_set()

    def waits_for(self) -> list[str]:
        """Say why the daemon is not ready; nothing when it is."""
        if self._pipeline is None:
            return ["the model is being loaded"]
        return self._pipeline.waits_for()

    def status(self) -> dict[str, Any]:
        """Return what is running, as JSON."""
        return {
            "version": __version__,
            "started": self._started,
            "waits_for": self.waits_for(),
            "profiles": {p.name: p.sha256 for p in self._profiles},
            "models": {
                name: {
                    "name": engine.model_name,
                    "sha256": engine.model_sha256,
                    "device": engine.device,
                }
                for name, engine in self._engines.items()
            },
            "sources": [source.address for source in self._sources],
            "backfill": self._deployment.backfill,
            "sinks": {f.sink.name: {"pending": f.pending} for f in self._followers},
            "newest": self._log.newest,
        }

    def _serve_http(self, address: str) -> None:
        views = Views(
            self._log,
            self._counters,
            self.waits_for,
            self.status,
            self._refresh,
            self._partials,
        )
        server = WebServer(build_app(views), address, self._failed)
        self._stack.callback(server.stop, JOIN_S)
        logger.info("page at %s", server.url)

    def _follow_log(self) -> None:
        models = {e.model_name: e.descriptors for e in self._engines.values()}
        sinks = open_sinks(
            self._deployment.feed, self._deployment.results, models, self._partials
        )
        for sink in sinks:
            follower = Follower(sink, self._log, self._counters, self._failed)
            self._followers.append(follower)
            # It says what it could not deliver; that stays in the log.
            self._stack.callback(follower.stop, FLUSH_S, JOIN_S)
        gone = set(self._log.cursors()) - {sink.name for sink in sinks}
        for name in sorted(gone):
            logger.warning(
                "results are kept for the sink %r, which this start does not name", name
            )

    def _open_sources(self) -> list[Source]:
        sources: list[Source] = []
        for url in self._deployment.sources:
            allow_pickle = url in self._trusted
            sources.append(open_source(url, self._counters, allow_pickle=allow_pickle))
            self._stack.callback(sources[-1].close)
        return sources

    def _open_backfill(self) -> Backfill | None:
        url = self._deployment.backfill
        if url is None:
            return None
        return Backfill(
            url,
            partial(open_store, url),
            [profile.assembly for profile in self._profiles],
            self._log,
            self._missing,
            self._counters,
        )

    def _stop_pipeline(self, pipeline: Pipeline) -> None:
        if not pipeline.stop(DRAIN_S):
            self.lost = True

    def _refresh(self) -> None:
        """Set the gauges that say how things are at this moment."""
        for follower in list(self._followers):
            follower.show_pending()
        if self._pipeline is not None:
            self._pipeline.show_queues()
        for device in {engine.device for engine in self._engines.values()}:
            self._counters.set(
                "device_memory_bytes", _memory_bytes(device), device=device
            )

    def _announce(self) -> None:
        for profile in self._profiles:
            engine = self._engines[profile.name]
            logger.info(
                "profile %s, model %s (%s) on %s",
                profile.name,
                engine.model_name,
                engine.model_sha256[:12],
                engine.device,
            )
        logger.info("reading %s", ", ".join(s.address for s in self._sources))
        if self._deployment.backfill is not None:
            logger.info("recovering from %s", self._deployment.backfill)


def _memory_bytes(device: str) -> int:
    """Memory this process holds on a device: of the CPU, what is resident."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.memory_reserved(device)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
