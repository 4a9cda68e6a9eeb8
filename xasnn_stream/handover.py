"""Documents from inside a RunEngine's process to the daemon, without holding up a scan.

>>> from xasnn_stream.handover import HandOver
>>> RE.subscribe(HandOver("127.0.0.1:5570"))  # doctest: +SKIP

The daemon listens there with `--source handover://127.0.0.1:5570`. Each frame is
`session.number name body`: whoever receives it sees from the numbers what was lost.
"""

import atexit
import math
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

import zmq

from xasnn_stream.errors import InvalidSourceError
from xasnn_stream.sources.codec import MAX_BYTES, encode_frame
from xasnn_stream.sources.inlet import notice_silence

HELD_BYTES = 64 * 2**20
"""What is held for a daemon that is away: some hundred thousand events of a step scan."""

CLOSE_S = 1.0
"""How long a RunEngine's process may end later for what is still held."""

# libzmq counts documents, not bytes: few are left to it, so that HELD_BYTES is the bound.
_SOCKET_QUEUE = 64
_AT_ONCE = 256
# Waking a thread for each document would cost a scan more than the document itself.
_EVERY_S = 0.02
# The thread never waits for the daemon; one that has not ended then hangs in libzmq.
_STUCK_S = 1.0


class HandOver:
    """A callback for `RE.subscribe`: hands every document to the daemon at `address`.

    It never waits and never raises, whatever the daemon does and whatever a document
    holds. Documents for a daemon that is dead, stuck or restarted are held, up to
    `held_bytes`, and sent when it is back; what exceeds that is dropped, counted in
    `lost`, and the daemon is told, at the latest with the next document. Raises
    InvalidSourceError for what can be no address.
    """

    def __init__(self, address: str, *, held_bytes: int = HELD_BYTES) -> None:
        self.address = f"tcp://{address.rpartition('://')[2]}"
        self.lost = 0
        """Documents known never to reach the daemon from here.

        Those libzmq was given for a daemon that never came back (64 at most, and what
        was on its way) are not known here: the daemon tells, from their numbers.
        """
        self._session = secrets.token_hex(8).encode()
        self._limit = held_bytes
        self._lock = threading.Lock()  # between callers; the thread takes none
        self._number = 0
        self._bytes_in = 0  # written by callers
        self._bytes_out = 0  # written by the thread
        self._held: deque[bytes] = deque()
        self._told = 0
        self._closing = threading.Event()
        self._deadline = math.inf
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, _SOCKET_QUEUE)
        notice_silence(self._socket)
        try:
            self._socket.connect(self.address)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise InvalidSourceError(
                f"cannot hand documents over to {address}: {error}; name host:port, "
                "as in 127.0.0.1:5570"
            ) from error
        self._thread = threading.Thread(
            target=self._send_held, name="xasnn-handover", daemon=True
        )
        self._thread.start()
        atexit.register(self.close)

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Hand one document over; from any thread."""
        with self._lock:
            try:
                prefix = b"%s.%d" % (self._session, self._number)
                frame = encode_frame(name, doc, prefix)
                taken = self._take(frame)
            except Exception:  # whatever it is, raised here it would abort the plan
                taken = False
            self.lost += not taken
            # Last: what is not held then is lost, as the thread concludes.
            self._number += 1

    @property
    def held(self) -> int:
        """How many documents wait for the daemon."""
        return len(self._held)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what is held, for at most `timeout_s`; the rest is lost.

        What libzmq was given is sent within that time, too, or lost uncounted.
        """
        with self._lock:
            if self._closing.is_set():
                return
            self._deadline = time.monotonic() + timeout_s
            self._closing.set()
        self._thread.join(timeout_s + _STUCK_S)
        self.lost += len(self._held)
        atexit.unregister(self.close)
        if self._thread.is_alive():
            return  # no other thread may close its socket; it ends with the process
        left_s = max(0.0, self._deadline - time.monotonic())
        self._socket.close(linger=int(left_s * 1000))
        self._context.term()

    def _take(self, frame: bytes) -> bool:
        """Hold a frame to be sent; False if there is no room, or it was closed."""
        too_much = self._bytes_in - self._bytes_out + len(frame) > self._limit
        if too_much or len(frame) > MAX_BYTES or self._closing.is_set():
            return False
        self._bytes_in += len(frame)
        self._held.append(frame)
        return True

    def _send_held(self) -> None:
        """Send what is held, many at once; the thread that owns the socket."""
        while not self._closing.wait(_EVERY_S):
            self._send_some()
        while self._held and time.monotonic() < self._deadline:
            self._send_some()
            time.sleep(_EVERY_S)

    def _send_some(self) -> None:
        with suppress(zmq.Again):
            for _ in range(_AT_ONCE):
                if not self._held:
                    self._tell_lost()
                    return
                self._socket.send(self._held[0], zmq.NOBLOCK)
                self._bytes_out += len(self._held.popleft())

    def _tell_lost(self) -> None:
        """Say how many documents there were: the next one may be long in coming."""
        lost, number = self.lost, self._number
        if lost > self._told and not self._held:
            self._socket.send(b"%s.%d" % (self._session, number), zmq.NOBLOCK)
            self._told = lost
