"""A receiving 0MQ socket that knows how many peers it has."""

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import zmq
from zmq.utils.monitor import recv_monitor_message

Item = TypeVar("Item")

_HEARTBEAT_MS = 5_000
_SILENCE_MS = 15_000
# Peers come and go while messages wait, too.
_LOOK_EVERY = 100
# Whoever fails in the handshake is told of as disconnected, too, and must not count.
_CAME = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)


def notice_silence(socket: zmq.Socket[bytes]) -> None:
    """Take a peer that vanished without a word (power, cable) for gone."""
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS)


class Inlet:
    """A socket of one kind (`zmq.SUB`, `zmq.PULL`) with a context of its own.

    `queue` messages are held by libzmq. `changed` is called from `receive` with the
    number of peers whose handshake is finished, whenever it changes. The caller sets
    what else there is to set on `socket`, then connects or binds it.
    """

    def __init__(
        self, kind: zmq.SocketType, queue: int, changed: Callable[[int], None]
    ) -> None:
        self.peers = 0
        self._messages = 0
        self._changed = changed
        self._context = zmq.Context()
        self.socket = self._context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, queue)
        notice_silence(self.socket)
        self._monitor = self.socket.get_monitor_socket(_CAME | zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self.socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def receive(
        self, timeout_s: float, read: Callable[[list[bytes]], Item | None]
    ) -> Item | None:
        """Return what `read` first makes of a message; None after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            parts = self._next_message()
            if parts is not None and (item := read(parts)) is not None:
                return item
            remaining = deadline - time.monotonic()
            if parts is None and remaining > 0:
                self._wait(remaining)
            elif remaining <= 0:
                return None

    def close(self) -> None:
        """Close the sockets; may be called twice."""
        if self.socket.closed:
            return
        self._note(0)
        self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self.socket.close(linger=0)
        self._context.term()

    def _next_message(self) -> list[bytes] | None:
        try:
            parts = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        self._messages += 1
        if self._messages % _LOOK_EVERY == 0:
            self._wait(0.0)
        return parts

    def _wait(self, timeout_s: float) -> None:
        ready: dict[Any, int] = dict(self._poller.poll(math.ceil(timeout_s * 1000)))
        while self._monitor in ready:
            event = recv_monitor_message(self._monitor)["event"]
            self._note(max(0, self.peers + (1 if event & _CAME else -1)))
            ready = dict(self._poller.poll(0))

    def _note(self, peers: int) -> None:
        self.peers = peers
        self._changed(peers)
