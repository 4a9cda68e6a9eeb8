"""For users of the results: the live feed, and results stored in Tiled.

>>> for result in subscribe("tcp://127.0.0.1:5578"):  # doctest: +SKIP
...     print(result.estimate["sample"], result.estimate["descriptors"])
"""

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from xasnn_stream.address import tiled_address
from xasnn_stream.errors import (
    DocumentError,
    InvalidSourceError,
    SourceError,
    UsageError,
)

HIGH_WATER_MARK = 10_000
"""Results kept for whoever iterates slowly; beyond it some are lost, see `gap`."""

_STATUS = b"status"
_HEADER = ("seq", "prev", "published", "latency_s", "device", "estimate")
_NOT_A_RESULT = (
    msgspec.MsgspecError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One result as it came over the feed.

    `gap` is True when results of this topic were published but not received since the
    last one; the rows between are in the daemon's log (`/api/history?since=`). A
    partial estimate is not in the log: its `seq` is None, and it has no gaps.
    `waited_s` is what of `latency_s` was spent waiting for the run's files.
    """

    topic: str
    seq: int | None
    prev: int | None
    published: float
    latency_s: float
    device: str
    estimate: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    gap: bool
    waited_s: float = 0.0


class Subscription:
    """Results of a feed as they come; iterate over it, and close it when done.

    Results published before the connection stands are not seen, so wait with `ready`
    before starting what is to be watched. Keep iterating: after a restart of the daemon
    the subscription is renewed while somebody waits for results.
    """

    def __init__(
        self, address: str, topics: Sequence[str], timeout_s: float | None
    ) -> None:
        self._timeout_s = timeout_s
        self._last: dict[str, int] = {}
        self._held: deque[list[bytes]] = deque()
        self._heard_s = time.monotonic()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
        # Last, so that its answer says that the others are in force.
        for topic in (*(topic.encode() for topic in topics), _STATUS):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise InvalidSourceError(
                f"cannot subscribe to {address}: {error}; a feed's address looks like "
                "tcp://127.0.0.1:5578"
            ) from error

    def ready(self, timeout_s: float) -> bool:
        """Wait until the feed knows this subscription; False when time ran out."""
        deadline = time.monotonic() + timeout_s
        while (parts := self._receive(deadline)) is not None:
            if parts[0] == _STATUS:
                return True
            # Later ones are lost, not earlier ones: the next result then shows the gap.
            if len(self._held) < HIGH_WATER_MARK:
                self._held.append(parts)
        return False

    @property
    def silent_s(self) -> float:
        """Seconds since anything was heard; a feed that lives says so every 5 s."""
        return time.monotonic() - self._heard_s

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        seconds = float("inf") if self._timeout_s is None else self._timeout_s
        deadline = time.monotonic() + seconds
        while True:
            parts = self._held.popleft() if self._held else self._receive(deadline)
            if parts is None:
                raise StopIteration
            if parts[0] != _STATUS:
                return self._result(parts)

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self, deadline: float) -> list[bytes] | None:
        # In slices, so that Ctrl-C is heard.
        while not self._socket.poll(100):
            if time.monotonic() >= deadline:
                return None
        self._heard_s = time.monotonic()
        return self._socket.recv_multipart()

    def _result(self, parts: list[bytes]) -> Result:
        topic = parts[0].decode(errors="replace")
        try:
            header = msgspec.msgpack.decode(parts[1])
            # Whatever else a newer daemon sends is passed over.
            known = {name: header[name] for name in _HEADER}
            if not isinstance(known["estimate"], dict):
                raise TypeError("its estimate is no map")
            arrays = {
                array["name"]: np.frombuffer(buffer, array["dtype"]).reshape(
                    array["shape"]
                )
                for array, buffer in zip(header["arrays"], parts[2:], strict=True)
            }
            last, prev = self._last.get(topic), header["prev"]
            gap = last is not None and prev is not None and prev > last
            waited_s = header.get("waited_s", 0.0)
            result = Result(
                topic=topic, arrays=arrays, gap=gap, waited_s=waited_s, **known
            )
            if result.seq is not None:
                self._last[topic] = max(result.seq, last or 0)
        except _NOT_A_RESULT as error:
            raise DocumentError(
                f"a message on topic {topic!r} is not a result ({error}); is this the "
                "feed of xasnn-stream?"
            ) from error
        return result


def subscribe(
    address: str,
    topics: Sequence[str] = ("final.",),
    timeout_s: float | None = None,
) -> Subscription:
    """Subscribe to a daemon's feed.

    Parameters
    ----------
    address
        Of the feed, for example `tcp://127.0.0.1:5578`.
    topics
        Beginnings of topics: `final.` for every profile's final estimates, `partial.`
        for estimates, about every second, of what is still being measured.
    timeout_s
        Iteration ends when no result came for this long; None waits for ever.

    Raises
    ------
    InvalidSourceError
        If the address is malformed. A daemon that is not there yet is waited for.
    DocumentError
        While iterating, if a message is not a result.
    """
    return Subscription(address, topics, timeout_s)


def results(
    uid: str, url: str = "http://127.0.0.1:8000", api_key: str | None = None
) -> list[dict[str, Any]]:
    """Read the estimates of one run from Tiled, void ones dropped.

    Parameters
    ----------
    uid
        Of the raw run.
    url
        Tiled server, with the path of the results if they are not in `results`.
    api_key
        Of the server; by default what `XASNN_TILED_API_KEY` says.

    Returns
    -------
    list
        Documents `xasnn.estimate/1`, in the order of their sweeps. An incomplete
        estimate is void once the complete one of the same sweep is there.

    Raises
    ------
    SourceError
        If the server cannot be reached or has no results of this run.
    UsageError
        If Tiled's client is not installed.
    """
    try:
        import httpx
        from tiled.client import from_uri
    except ModuleNotFoundError as error:
        raise UsageError(
            f"results are read from Tiled with {error.name}, which is not installed; "
            'install it with: pip install "xasnn-stream[daemon]"'
        ) from error

    address, path = tiled_address(url)
    key = api_key or os.environ.get("XASNN_TILED_API_KEY")
    try:
        server = from_uri(address, api_key=key)
        try:
            texts = [
                text
                for analysis in server[(*path, uid)].values()
                for text in analysis["estimates"].read(["document"])["document"]
            ]
        finally:
            server.context.close()
    except KeyError as error:
        raise SourceError(f"{url} has no results of run {uid}") from error
    # RuntimeError is how the client says that the server wants a key.
    except (httpx.HTTPError, RuntimeError) as error:
        raise SourceError(f"cannot read results from {url}: {error}") from error
    return _without_void([json.loads(text) for text in texts])


def _without_void(estimates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def origin(estimate: dict[str, Any]) -> tuple[object, ...]:
        made_by = estimate["provenance"]
        return (
            estimate["run"]["sweep"],
            made_by["profile_sha256"],
            made_by["model_sha256"],
            made_by["reference_sha256"],
        )

    whole = {origin(e) for e in estimates if e["run"]["complete"]}
    valid = [e for e in estimates if e["run"]["complete"] or origin(e) not in whole]
    return sorted(valid, key=lambda estimate: estimate["run"]["sweep"])
