"""The read-only HTTP interface, over the result log and snapshots."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from xasnn_stream.results import ResultLog
from xasnn_stream.telemetry.counters import Counters
from xasnn_stream.web.metrics import exposition
from xasnn_stream.web.page import render

ON_PAGE = 50
SEQ_DIGITS = 18
"""Any number of so many digits is one SQLite can compare with."""
HISTORY = 500
"""Most results of one answer; the next begins after its last `seq`."""


@dataclass(frozen=True, slots=True)
class Views:
    """What the interface shows; the callables answer at once, from any thread.

    `waits_for` says why the daemon is not ready (nothing when it is), `status` is a
    JSON object, `refresh` brings gauges up to date before they are read.
    """

    log: ResultLog
    counters: Counters
    waits_for: Callable[[], list[str]]
    status: Callable[[], dict[str, Any]]
    refresh: Callable[[], None]


def build_app(views: Views) -> Starlette:
    """Return the application; every answer is read-only."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        reasons = views.waits_for()
        if reasons:
            return PlainTextResponse("\n".join(reasons) + "\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def metrics(request: Request) -> Response:
        views.refresh()
        text = exposition(views.counters)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def status(request: Request) -> Response:
        return JSONResponse(views.status())

    async def history(request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdecimal() or len(since) > SEQ_DIGITS:
            return JSONResponse(
                {"error": "since is the seq of the last result you have"}, 400
            )
        rows = views.log.read(int(since), HISTORY)
        results = [row.header() for row in rows]
        return JSONResponse({"newest": views.log.newest, "results": results})

    async def page(request: Request) -> Response:
        return HTMLResponse(render(views.log.latest(ON_PAGE), views.waits_for()))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/api/status", status),
            Route("/api/history", history),
        ]
    )
