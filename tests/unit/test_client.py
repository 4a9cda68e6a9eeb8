import sys

import msgspec
import pytest
import zmq

from xasnn_stream import client
from xasnn_stream.errors import DocumentError, UsageError


@pytest.fixture
def publisher():
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        yield socket


def publish(socket, seq, /, **others):
    header = {
        "seq": seq,
        "prev": seq - 1 or None,
        "published": 0.0,
        "latency_s": 0.0,
        "device": "cpu",
        "estimate": {},
        "arrays": [],
    } | others
    socket.send_multipart([b"final.sim-step", msgspec.msgpack.encode(header)])


def test_what_waits_for_the_reader_is_bounded_and_the_loss_is_a_gap(
    publisher, monkeypatch
):
    monkeypatch.setattr(client, "HIGH_WATER_MARK", 3)
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    with client.subscribe(f"tcp://127.0.0.1:{port}", timeout_s=2.0) as subscription:
        assert subscription._socket.getsockopt(zmq.RCVHWM) == 3
        for _ in range(2):  # to results and to the status
            assert publisher.poll(5000)
            publisher.recv()
        for seq in range(1, 6):
            publish(publisher, seq)
        publisher.send_multipart([b"status", b""])
        assert subscription.ready(5)
        publish(publisher, 6)
        seen = [(r.seq, r.gap) for r, _ in zip(subscription, range(4), strict=False)]
    assert seen == [(1, False), (2, False), (3, False), (6, True)]


def first(publisher, **header):
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    with client.subscribe(f"tcp://127.0.0.1:{port}", timeout_s=5.0) as subscription:
        for _ in range(2):
            assert publisher.poll(5000)
            publisher.recv()
        publish(publisher, 1, **header)
        return next(subscription)


def test_what_a_newer_daemon_says_besides_is_passed_over(publisher):
    assert first(publisher, added_later=1).seq == 1


@pytest.mark.parametrize("wrong", [{"seq": "one"}, {"estimate": None}])
def test_a_header_of_another_form_is_no_result(publisher, wrong):
    with pytest.raises(DocumentError, match="is not a result"):
        first(publisher, **wrong)


@pytest.mark.parametrize("module", ["httpx", "tiled.client"])
def test_reading_from_tiled_without_its_client_names_the_extra(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"pip install \"xasnn-stream\[daemon\]"):
        client.results("uid")
