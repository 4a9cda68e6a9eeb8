import pickle
import time
from collections.abc import Iterator

import pytest
import zmq

from xasnn_stream.sources.codec import encode_frame
from xasnn_stream.sources.open import open_source
from xasnn_stream.telemetry.counters import Counters

WAIT_S = 5.0


class Publisher:
    """A PUB socket as the proxy offers it; `subscribed` waits for the source."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")

    def subscribed(self, source) -> None:
        source.receive(0)
        assert self.socket.poll(WAIT_S * 1000)
        self.socket.recv()

    def close(self) -> None:
        self.socket.close(linger=0)
        self.context.term()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher()
    yield publisher
    publisher.close()


@pytest.fixture
def open_at(publisher):
    opened = []

    def open_at(options: str = ""):
        counters = Counters()
        url = f"zmq://127.0.0.1:{publisher.port}{options}"
        opened.append(open_source(url, counters))
        publisher.subscribed(opened[-1])
        return opened[-1], counters

    yield open_at
    for source in opened:
        source.close()


def until(condition, source) -> bool:
    deadline = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < deadline:
        source.receive(0.02)
    return condition()


def test_garbage_is_counted_and_the_documents_between_arrive(publisher, open_at):
    source, counters = open_at()
    send = publisher.socket.send
    send(b"\x00\xff garbage")
    send(b" start not-a-map")
    send(b" start " + pickle.dumps({"uid": "p"}))
    send(encode_frame("strat", {"uid": "typo"}))
    publisher.socket.send_multipart([b"two", b"frames"])
    send(encode_frame("start", {"uid": "a"}))

    document = source.receive(WAIT_S)

    assert document is not None
    assert (document.name, document.doc) == ("start", {"uid": "a"})
    assert source.receive(0.05) is None
    rejected = {
        reason: counters.value("documents_rejected_total", reason=reason)
        for reason in ("frame", "body", "pickle", "name", "multipart")
    }
    assert rejected == dict.fromkeys(rejected, 1)
    assert counters.value("documents_received_total", name="start") == 1


def test_a_prefix_chooses_one_beamline_of_a_shared_proxy(publisher, open_at):
    source, counters = open_at("?prefix=here")
    publisher.socket.send(encode_frame("start", {"uid": "other"}, b"there"))
    publisher.socket.send(encode_frame("start", {"uid": "longer"}, b"here2"))
    publisher.socket.send(encode_frame("start", {"uid": "ours"}, b"here"))

    document = source.receive(WAIT_S)

    assert document is not None
    assert document.doc == {"uid": "ours"}
    assert counters.value("documents_rejected_total") == 0


def test_a_proxy_that_goes_and_comes_back_is_noticed(publisher, open_at):
    source, counters = open_at()
    assert until(lambda: source.connected, source)
    assert counters.value("source_connected") == 1

    publisher.socket.close(linger=0)
    assert until(lambda: not source.connected, source)
    assert counters.value("source_connected") == 0

    publisher.socket = publisher.context.socket(zmq.XPUB)
    publisher.socket.bind(f"tcp://127.0.0.1:{publisher.port}")
    assert until(lambda: source.connected, source)
    publisher.subscribed(source)
    publisher.socket.send(encode_frame("start", {"uid": "again"}))
    document = source.receive(WAIT_S)
    assert document is not None
    assert document.doc == {"uid": "again"}


def test_without_a_proxy_receive_returns_in_time():
    source = open_source("zmq://127.0.0.1:1", Counters())
    began = time.monotonic()

    assert source.receive(0.05) is None

    assert 0.04 <= time.monotonic() - began < 1.0
    assert not source.connected
    assert not source.exhausted
    source.close()
    source.close()


def test_peers_are_told_of_while_documents_wait(publisher, open_at):
    source, counters = open_at()
    for number in range(1_000):
        publisher.socket.send(encode_frame("event", {"seq_num": number}))
    time.sleep(0.2)

    for _ in range(500):
        assert source.receive(0.2) is not None

    assert source.connected
    assert counters.value("source_connected") == 1

    publisher.socket.close(linger=0)
    time.sleep(0.2)
    for _ in range(200):
        assert source.receive(0.2) is not None

    assert not source.connected
    assert counters.value("source_connected") == 0
