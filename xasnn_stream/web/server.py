"""Serves the HTTP interface from a thread of its own, `xasnn-http`."""

import asyncio
import socket
from functools import partial

import uvicorn
from starlette.applications import Starlette

from xasnn_stream.errors import UsageError
from xasnn_stream.telemetry.watched import Failed, join_thread, start_thread

CLOSE_S = 2
ABORT_S = 0.01
"""For the event loop to see that a connection is gone."""
HIGHEST_PORT = 65535


class WebServer:
    """Serves `app` at `address` (`host:port`; port 0 takes a free one).

    Raises
    ------
    UsageError
        If the address is malformed or in use.
    """

    def __init__(self, app: Starlette, address: str, failed: Failed) -> None:
        listener = listen(address)
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=CLOSE_S,
        )
        self._app = app
        self._server = _Server(config)
        self._listener = listener
        serve = partial(self._server.run, sockets=[listener])
        self._thread = start_thread("http", serve, failed)

    def stop(self, timeout_s: float) -> bool:
        """End the open streams, finish what is being answered and free the address."""
        self._app.state.streams.close()
        self._server.should_exit = True
        ended = join_thread(self._thread, timeout_s)
        self._listener.close()
        return ended


class _Server(uvicorn.Server):
    """Cuts connections that outlast a shutdown: their clients do not read."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # type: ignore - untyped
        await asyncio.sleep(ABORT_S)


def listen(address: str) -> socket.socket:
    """Return a socket that listens at `host:port`; UsageError if it cannot."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise UsageError(f"--http {address} is not host:port, as in 127.0.0.1:8765")
    try:
        listener = socket.create_server((host.strip("[]"), int(port)))
    except OSError as error:
        raise UsageError(
            f"cannot serve HTTP on {address}: {error}; name another address with --http"
        ) from error
    # The event loop takes it over and never blocks on it.
    listener.setblocking(False)
    return listener
