"""The stream of server-sent events: results from the log, partials, and how things are.

Every client follows the log with a cursor of its own, so a slow one holds nothing but
its place: what it has not read stays in the log, and of partials only the newest exist.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from xasnn_stream.partials import Partial
from xasnn_stream.results import Delivery
from xasnn_stream.web.events import event, partial_event, result_event
from xasnn_stream.web.views import Views, snapshot

logger = logging.getLogger(__name__)

MAX_CLIENTS = 32
AT_START = 500
"""Results a client gets that does not say which it has."""
WITH_ARRAYS = 32
"""Only the newest results carry arrays; a page asks for those of others one by one."""
BATCH = 32
TICK_S = 0.01
"""How soon a client sees what is new. Looking costs two comparisons of integers."""
STATUS_S = 0.5
"""How often the status is looked at and sent."""
TAKE_S = 30.0
"""A client that takes nothing for so long gives its place to another."""
REMEMBERED = 64
"""Events kept as text, because other clients read them too."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a client wants to go on: after `seq`, which it knows under this `id`.

    None as `seq` asks for the latest results; `id` may be None.
    """

    seq: int | None
    id: str | None = None


class Streams:
    """All open streams; used from the event loop only, `close` from any thread."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._closing = threading.Event()
        self._open = 0
        self._events: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._status = ""
        self._status_due = 0.0

    @property
    def full(self) -> bool:
        """Whether no further client is served."""
        return self._open >= MAX_CLIENTS

    def close(self) -> None:
        """End all streams soon; the clients come back when somebody listens again."""
        self._closing.set()

    def response(self, resume: Resume) -> StreamingResponse:
        """Return the answer that follows the log until somebody ends it."""
        self._open += 1
        return _Stream(self._follow(resume), self._release)

    def _release(self) -> None:
        self._open -= 1

    async def _follow(self, resume: Resume) -> AsyncIterator[str]:
        log, partials = self._views.log, self._views.partials
        cursor, void = self._start(resume)
        yield "retry: 1000\n\n"
        if void:
            yield event("reset", {"why": void})
        version, status = 0, ""
        while not self._closing.is_set():
            # Partials first: they must not follow the final estimate of their sweep.
            for newer in partials.since(version):
                version = newer.version
                yield self._partial(newer)
            newest = log.newest
            if newest > cursor:
                batch = log.read(cursor, BATCH)
                for delivery in batch:
                    yield self._result(delivery)
                # No rows although the log is ahead: they were trimmed meanwhile.
                cursor = batch[-1].seq if batch else newest
            if (latest := self._newest_status()) is not status:
                yield (status := latest)
            await asyncio.sleep(TICK_S if cursor >= log.newest else 0)

    def _start(self, resume: Resume) -> tuple[int, str | None]:
        """Return the first cursor, and why what the client has is void, if it is."""
        log = self._views.log
        latest = max(0, log.newest - AT_START)
        if resume.seq is None:
            return latest, None
        if resume.seq > log.newest:
            return latest, "another result log is served: it holds fewer results"
        known = log.read(resume.seq - 1, 1) if resume.id else []
        if any(d.seq == resume.seq and d.estimate["id"] != resume.id for d in known):
            return latest, "another result log is served: it holds other results"
        return resume.seq, None

    def _result(self, delivery: Delivery) -> str:
        seq = delivery.seq
        arrays = self._views.log.newest - seq < WITH_ARRAYS
        make = partial(result_event, delivery, arrays=arrays)
        return self._once("result with arrays" if arrays else "result", seq, make)

    def _partial(self, newest: Partial) -> str:
        return self._once("partial", newest.version, partial(partial_event, newest))

    def _once(self, kind: str, number: int, make: Callable[[], str]) -> str:
        """Return an event, made once for all clients that read at the same time."""
        text = self._events.get((kind, number))
        if text is None:
            text = self._events[kind, number] = make()
            if len(self._events) > REMEMBERED:
                self._events.popitem(last=False)
        return text

    def _newest_status(self) -> str:
        now = time.monotonic()
        if now >= self._status_due:
            self._status = event("status", snapshot(self._views))
            self._status_due = now + STATUS_S
        return self._status


class _Stream(StreamingResponse):
    """An event stream that gives its place back however it ends."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[str], ended: Callable[[], None]) -> None:
        # Proxies must neither keep nor collect what passes.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(content, headers=headers)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(TAKE_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            logger.info("a page that took nothing for %.0f s is let go", TAKE_S)
        finally:
            self._ended()
