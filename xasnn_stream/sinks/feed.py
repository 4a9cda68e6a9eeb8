"""The feed: results for machines over ZeroMQ, one multipart message each.

Parts: topic `final.<profile>`; a msgpack header, which is the delivery plus `arrays:
[{name, dtype, shape}]`; one raw buffer per array. Topic `partial.<profile>` has the same
parts for what is still being measured, without `seq`, the newest of each run. Topic
`status` is a sign of life, sent every few seconds and to every new subscriber, whose
subscriptions then stand.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from xasnn_stream.errors import SinkError, UsageError
from xasnn_stream.partials import Partials
from xasnn_stream.results import Delivery

STATUS = b"status"
STATUS_EVERY_S = 5.0
GRACE_S = 1.0
"""After a restart, wait this long for the first subscriber to come back."""
HIGH_WATER_MARK = 10_000
"""Messages held for a slow subscriber; beyond it loses some and sees it in `prev`.

The loss shows there and nowhere else: ZeroMQ drops messages for one subscriber without
telling the publisher, and what would tell (`XPUB_NODROP`) sends to nobody instead.
"""
LINGER_MS = 1000


class FeedSink:
    """Publishes deliveries, and `partials`, on an XPUB socket bound to `address`.

    Raises
    ------
    UsageError
        If the address is malformed or in use.
    """

    name = "feed"

    def __init__(self, address: str, partials: Partials | None = None) -> None:
        self._partials = partials or Partials()
        self._shown = 0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        # Every subscription is announced, not only the first to a topic.
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise UsageError(
                f"the feed cannot listen on {address}: {error}; name another address "
                "with --feed, for example tcp://127.0.0.1:5579"
            ) from error
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        self.address = bytes(endpoint).rstrip(b"\0").decode()  # type: ignore
        self._grace_until = time.monotonic() + GRACE_S
        self._status_due = 0.0
        self._last_seq: int | None = None

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Send each delivery; without subscribers they go nowhere."""
        self._await_first_subscriber()
        self._answer_subscriptions()
        # Partials first: they must not follow the final estimate of their sweep.
        self._send_partials()
        for delivery in deliveries:
            self._send(message(delivery))
            self._last_seq = delivery.seq

    def idle(self) -> None:
        """Answer new subscribers, send partial estimates and, when due, a sign of life."""
        self._answer_subscriptions()
        self._send_partials()
        if time.monotonic() >= self._status_due:
            self._send_status()

    def close(self) -> None:
        """Send what is queued, for at most a second, and free the address."""
        self._socket.close()
        self._context.term()

    def _await_first_subscriber(self) -> None:
        left = self._grace_until - time.monotonic()
        if left > 0:
            self._socket.poll(int(1000 * left), zmq.POLLIN)
        self._grace_until = 0.0

    def _answer_subscriptions(self) -> None:
        asked = False
        while self._socket.poll(0, zmq.POLLIN):
            asked |= self._socket.recv() == b"\x01" + STATUS
            self._grace_until = 0.0
        if asked:
            self._send_status()

    def _send_partials(self) -> None:
        for partial in self._partials.since(self._shown):
            estimate = partial.estimate
            topic = f"partial.{estimate.provenance.profile}"
            self._send(_message(topic, partial.header(), estimate.arrays))
            self._shown = partial.version

    def _send_status(self) -> None:
        body = {"published": time.time(), "last_seq": self._last_seq}
        self._send([STATUS, msgspec.msgpack.encode(body)])
        self._status_due = time.monotonic() + STATUS_EVERY_S

    def _send(self, parts: Sequence[bytes]) -> None:
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise SinkError(f"the feed could not send: {error}") from error


def message(delivery: Delivery) -> list[bytes]:
    """Return the parts of one delivery on the wire."""
    topic = f"final.{delivery.profile}"
    return _message(topic, delivery.header(), delivery.arrays)


def _message(
    topic: str, header: dict[str, Any], named: Mapping[str, NDArray[Any]]
) -> list[bytes]:
    arrays = {name: np.ascontiguousarray(array) for name, array in named.items()}
    layout = [
        {"name": name, "dtype": array.dtype.str, "shape": array.shape}
        for name, array in arrays.items()
    ]
    return [
        topic.encode(),
        msgspec.msgpack.encode(header | {"arrays": layout}),
        *(array.tobytes() for array in arrays.values()),
    ]
