"""Documents from a Bluesky 0MQ proxy.

A reader of our own: Bluesky's `RemoteDispatcher` opens pickle by default and ends on a
document name it does not know.
"""

import logging

import zmq

from xasnn_stream.errors import InvalidSourceError
from xasnn_stream.sources.codec import Codec, FrameError, decode_frame
from xasnn_stream.sources.document import Document, Intake
from xasnn_stream.sources.inlet import Inlet
from xasnn_stream.telemetry.counters import Counters

log = logging.getLogger(__name__)

RECEIVE_QUEUE = 100_000
"""Messages libzmq holds for us; some minutes of step scans."""


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
        self._inlet = Inlet(
            zmq.SUB, RECEIVE_QUEUE, lambda peers: self._intake.connected(peers > 0)
        )
        self._inlet.socket.setsockopt(zmq.SUBSCRIBE, prefix + b" " if prefix else b"")
        try:
            self._inlet.socket.connect(address)
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
        return self._inlet.peers > 0

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None when none came within `timeout_s` seconds."""
        return self._inlet.receive(timeout_s, self._decode)

    def close(self) -> None:
        """Close the sockets; may be called twice."""
        self._inlet.close()

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
