"""The read-only HTTP interface, over the result log and snapshots."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders, QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xasnn_stream.web.events import result
from xasnn_stream.web.metrics import exposition
from xasnn_stream.web.stream import MAX_CLIENTS, Resume, Streams
from xasnn_stream.web.views import Views, snapshot

STATIC = Path(__file__).parent / "static"
SEQ_DIGITS = 18
"""Any number of so many digits is one SQLite can compare with."""
HISTORY = 500
"""Most results of one answer; the next begins after its last `seq`."""
HEADERS = {
    # Nothing is loaded from elsewhere and no text of a document becomes a script.
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def build_app(views: Views) -> Starlette:
    """Return the application; every answer is read-only.

    Its `state.streams` must be closed before the server waits for its last answers.
    """
    streams = Streams(views)

    async def page(request: Request) -> Response:
        return FileResponse(
            STATIC / "index.html", headers={"cache-control": "no-cache"}
        )

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
        return JSONResponse(snapshot(views))

    async def history(request: Request) -> Response:
        return _history(views, request.query_params)

    async def stream(request: Request) -> Response:
        query = request.query_params
        if (header := request.headers.get("last-event-id")) is not None:
            # A browser came back by itself, with the address it began with.
            return _stream(streams, header, None)
        return _stream(streams, query.get("since"), query.get("id"))

    app = Starlette(
        routes=[
            Route("/", page),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/api/status", status),
            Route("/api/history", history),
            Route("/api/stream", stream),
            Mount("/static", _Static(directory=STATIC)),
        ],
        middleware=[Middleware(_WithHeaders)],
    )
    app.state.streams = streams
    return app


def _history(views: Views, query: QueryParams) -> Response:
    since, limit = (
        _number(query.get("since", "0")),
        _number(query.get("limit", str(HISTORY))),
    )
    if since is None:
        return _refused("since is the seq of the last result you have")
    if limit is None:
        return _refused(f"limit is how many results you want, up to {HISTORY}")
    rows = views.log.read(since, min(limit, HISTORY))
    arrays = query.get("arrays", "0") not in ("", "0")
    results = [result(row, arrays=arrays) for row in rows]
    return JSONResponse({"newest": views.log.newest, "results": results})


def _stream(streams: Streams, since: str | None, known: str | None) -> Response:
    seq = None if since is None else _number(since)
    if since is not None and seq is None:
        return _refused("since is the seq of the last result you have")
    if streams.full:
        text = f"{MAX_CLIENTS} pages are open already; close one, or read /api/history"
        return PlainTextResponse(text + "\n", status_code=503)
    return streams.response(Resume(seq, known))


class _Static(StaticFiles):
    """Files a browser asks for again, so that a new version is never mixed with one."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore - theirs
        response.headers["cache-control"] = "no-cache"
        return response


class _WithHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _number(text: str) -> int | None:
    plain = text.isascii() and text.isdecimal() and len(text) <= SEQ_DIGITS
    return int(text) if plain else None


def _refused(sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, 400)
