"""Documents from a Bluesky 0MQ proxy.

A reader of our own: Bluesky's `RemoteDispatcher` opens pickle by default and ends on a
document name it does not know.
"""

import logging
import math
import time
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from xasnn_stream.errors import InvalidSourceError
from xasnn_stream.sources.codec import Codec, FrameError, decode_frame
from xasnn_stream.sources.document import Document, Intake
from xasnn_stream.telemetry.counters import Counters

log = logging.getLogger(__name__)

RECEIVE_QUEUE = 100_000
"""Messages libzmq holds for us; some minutes of step scans."""

_HEARTBEAT_MS = 5_000
_SILENCE_MS = 15_000


class ZeroMQSource:
    """A SUB socket connected to `address` (`tcp://host:port`).

    It cannot wait: what exceeds `RECEIVE_QUEUE` is lost unseen, so only assembly can
    tell, from the documents themselves. Raises InvalidSourceError for what can be no
    address.
    """

    can_wait = False
    exhausted = False

    def __init__(
        self,
        address: str,
        counters: Counters,
        codec: Codec = "auto",
        prefix: bytes = b"",
        *,
        allow_pickle: bool = False,
    ) -> None:
        self.address = address.replace("tcp://", "zmq://", 1)
        self._codec: Codec = codec
        self._prefix = prefix
        self._allow_pickle = allow_pickle
        self._intake = Intake(self.address, counters)
        self._connected = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE)
        # A peer that vanished without a word (power, cable) is noticed by its silence.
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.setsockopt(zmq.SUBSCRIBE, prefix + b" " if prefix else b"")
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise InvalidSourceError(
                f"{self.address} is no address of a 0MQ proxy: {error}"
            ) from error
        if allow_pickle:
            log.warning(
                "%s: PICKLE IS OPENED, as --allow-pickle says. Only plain data and "
                "arrays are restored, but pickle was not made to be safe: whoever "
                "reaches that address may be able to run code here",
                self.address,
            )

    @property
    def connected(self) -> bool:
        """Whether the handshake with the proxy is finished."""
        return self._connected

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None when none came within `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while True:
            parts = self._next_message()
            if parts is not None:
                document = self._decode(parts)
                if document is not None:
                    return document
            remaining = deadline - time.monotonic()
            if parts is None and remaining > 0:
                self._wait(remaining)
            elif remaining <= 0:
                return None

    def close(self) -> None:
        """Close the sockets; may be called twice."""
        if self._socket.closed:
            return
        self._note(connected=False)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
        self._context.term()

    def _next_message(self) -> list[bytes] | None:
        try:
            return self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None

    def _wait(self, timeout_s: float) -> None:
        ready: dict[Any, int] = dict(self._poller.poll(math.ceil(timeout_s * 1000)))
        while self._monitor in ready:
            event = recv_monitor_message(self._monitor)["event"]
            self._note(connected=event == zmq.EVENT_HANDSHAKE_SUCCEEDED)
            ready = dict(self._poller.poll(0))

    def _note(self, *, connected: bool) -> None:
        self._connected = connected
        self._intake.connected(connected)

    def _decode(self, parts: list[bytes]) -> Document | None:
        if len(parts) != 1:
            self._intake.reject("multipart", f"a message of {len(parts)} frames")
            return None
        try:
            decoded = decode_frame(
                parts[0], self._codec, self._prefix, allow_pickle=self._allow_pickle
            )
        except FrameError as error:
            self._intake.reject(error.reason, str(error))
            return None
        return None if decoded is None else self._intake.accept(*decoded)
