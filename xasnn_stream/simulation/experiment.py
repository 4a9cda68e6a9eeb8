"""A RunEngine whose documents go where a beamline's go: a 0MQ proxy, Tiled, a file."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from bluesky.callbacks.zmq import Publisher
from bluesky.run_engine import RunEngine
from bluesky.utils import RequestAbort

from xasnn_stream.simulation.plans import Plan
from xasnn_stream.sources.codec import encode_document, encode_line

CONNECTING_S = 0.5
"""A 0MQ publisher drops what it is given before its handshake; it cannot say when."""

LINGER_MS = 2000


class MsgpackPublisher(Publisher):
    """Bluesky's publisher with msgpack bodies; closing never waits for a lost proxy."""

    def __init__(self, address: str, *, prefix: bytes = b"") -> None:
        super().__init__(address, prefix=prefix, serializer=encode_document)

    def close(self) -> None:
        """Send what is queued, for a bounded time, and close."""
        self._socket.close(linger=LINGER_MS)
        self._context.term()


class Recorder:
    """Writes documents as JSON lines `["start", {…}]`, flushed at the end of a run."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Append one document."""
        self._file.write(encode_line(name, document))
        if name == "stop":
            self._file.flush()


@contextmanager
def experiment(
    *, publish: str | None = None, raw: Any = None, record: Path | None = None
) -> Iterator[RunEngine]:
    """Yield a RunEngine that publishes, stores and records what it runs.

    Parameters
    ----------
    publish
        `host:port` of a proxy's in-address.
    raw
        A Tiled client's container for raw runs.
    record
        A file to which documents are appended as JSON lines.
    """
    # Without Bluesky's own answer to Ctrl-C: a pause, for a person to resume.
    engine = RunEngine({}, context_managers=[])
    with ExitStack() as stack:
        if publish:
            publisher = MsgpackPublisher(publish)
            stack.callback(publisher.close)
            engine.subscribe(publisher)
            time.sleep(CONNECTING_S)
        if record:
            file = stack.enter_context(record.open("ab"))
            engine.subscribe(Recorder(file))
        if raw is not None:
            # Imported here: the plugins take seconds and hundreds of megabytes.
            from bluesky_tiled_plugins import TiledWriter

            engine.subscribe(TiledWriter(raw))
        yield engine


def run_plan(engine: RunEngine, plan: Plan) -> None:
    """Run a plan; Ctrl-C or SIGTERM ends its run in order, then KeyboardInterrupt.

    The interrupted run gets its stop document, `exit_status` abort. Only the main
    thread may call this, for it alone hears signals.
    """
    stopping = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopping.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        engine(_until(stopping, plan))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stopping.is_set():
        raise KeyboardInterrupt


def _until(stopping: threading.Event, plan: Plan) -> Plan:
    """Pass a plan's messages on; once `stopping` is set, abort the plan."""
    try:
        message = next(plan)
        while not stopping.is_set():
            message = plan.send((yield message))
        message = plan.throw(RequestAbort())
        while True:
            message = plan.send((yield message))
    except (StopIteration, RequestAbort):
        # The plan has cleaned up after itself; to the engine all went well.
        return
