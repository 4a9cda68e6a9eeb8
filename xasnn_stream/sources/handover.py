"""Documents that a RunEngine's own process hands over (`xasnn_stream.handover`)."""

import re
from collections import OrderedDict

import zmq

from xasnn_stream.errors import InvalidSourceError
from xasnn_stream.sources.codec import FrameError, decode_frame
from xasnn_stream.sources.document import Document, Intake
from xasnn_stream.sources.inlet import Inlet
from xasnn_stream.telemetry.counters import Counters

RECEIVE_QUEUE = 1_000
"""Messages libzmq holds here; what is more waits in the RunEngine's process."""
MAX_SESSIONS = 64
"""RunEngines whose numbers are remembered; beyond it that longest silent is forgotten."""

_PREFIX = re.compile(rb"([0-9a-f]{16})\.(\d{1,15})")


class HandOverSource:
    """A PULL socket bound to `address` (`tcp://host:port`).

    RunEngines hold what it does not take, so that a restart of the daemon loses next to
    nothing. What was lost all the same is seen from the numbers of the frames, and
    counted. Raises InvalidSourceError if it cannot listen there.
    """

    can_wait = False
    exhausted = False

    def __init__(self, address: str, counters: Counters) -> None:
        self.address = address.replace("tcp://", "handover://", 1)
        self._intake = Intake(self.address, counters)
        self._next: OrderedDict[bytes, int] = OrderedDict()
        self._inlet = Inlet(
            zmq.PULL, RECEIVE_QUEUE, lambda peers: self._intake.connected(peers > 0)
        )
        try:
            self._inlet.socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise InvalidSourceError(
                f"cannot listen at {self.address}: {error}; name an address of this "
                "machine where nobody listens yet, as in handover://127.0.0.1:5570"
            ) from error

    @property
    def connected(self) -> bool:
        """Whether it listens: a RunEngine that comes later holds what it has until then."""
        return not self._inlet.socket.closed

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None when none came within `timeout_s` seconds."""
        return self._inlet.receive(timeout_s, self._decode)

    def close(self) -> None:
        """Close the sockets; may be called twice."""
        self._inlet.close()

    def _decode(self, parts: list[bytes]) -> Document | None:
        numbered = _PREFIX.fullmatch(parts[0].partition(b" ")[0])
        if len(parts) != 1 or numbered is None:
            self._intake.reject("frame", "not from xasnn_stream.handover.HandOver")
            return None
        self._note(numbered[1], int(numbered[2]))
        if len(numbered[0]) == len(parts[0]):
            return None  # only says how many there were
        self._next[numbered[1]] += 1
        try:
            decoded = decode_frame(parts[0])
        except FrameError as error:
            self._intake.reject(error.reason, str(error))
            return None
        return None if decoded is None else self._intake.accept(*decoded)

    def _note(self, session: bytes, number: int) -> None:
        """Count what is missing before a frame; of a new session nothing is known."""
        expected = self._next.pop(session, number)
        if number > expected:
            self._intake.miss(number - expected)
        self._next[session] = max(number, expected)
        if len(self._next) > MAX_SESSIONS:
            self._next.popitem(last=False)
