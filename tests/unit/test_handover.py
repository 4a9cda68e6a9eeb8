"""What a RunEngine's process hands over, and what the daemon makes of losses."""

import socket
import threading
import time

import pytest
import zmq

from xasnn_stream.errors import InvalidSourceError, SourceError
from xasnn_stream.handover import HandOver
from xasnn_stream.sources.codec import MAX_BYTES, encode_frame
from xasnn_stream.sources.open import open_source
from xasnn_stream.telemetry.counters import Counters

WAIT_S = 10.0


@pytest.fixture
def port(free_ports):
    return free_ports(1)[0]


@pytest.fixture
def hand_over(port):
    made = []

    def hand_over(**limits):
        made.append(HandOver(f"127.0.0.1:{port}", **limits))
        return made[-1]

    yield hand_over
    for one in made:
        one.close(timeout_s=0.1)


@pytest.fixture
def listen(port):
    """A function that starts the daemon's side; what is not closed is closed at the end."""
    opened = []

    def listen():
        counters = Counters()
        opened.append(open_source(f"handover://127.0.0.1:{port}", counters))
        return opened[-1], counters

    yield listen
    for source in opened:
        source.close()


def events(numbers):
    return [{"seq_num": number, "data": {"i0": 0.1 * number}} for number in numbers]


def numbers_from(source, count):
    """The `seq_num` of the next `count` documents, fewer if they do not come."""
    found = []
    deadline = time.monotonic() + WAIT_S
    while len(found) < count and time.monotonic() < deadline:
        document = source.receive(0.1)
        if document is not None:
            found.append(document.doc["seq_num"])
    return found


def hear(source, condition):
    deadline = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < deadline:
        assert source.receive(0.02) is None
    return condition()


def test_documents_are_held_in_order_until_the_daemon_is_there(hand_over, listen):
    engine = hand_over()
    for event in events(range(1000)):
        engine("event", event)
    assert engine.held > 0

    source, counters = listen()

    assert numbers_from(source, 1000) == list(range(1000))
    assert (engine.held, engine.lost) == (0, 0)
    assert counters.value("documents_missed_total") == 0
    assert source.connected


def test_what_the_daemon_takes_while_more_comes_stays_in_order(hand_over, listen):
    engine = hand_over()
    for event in events(range(500)):
        engine("event", event)
    source, _ = listen()
    for event in events(range(500, 3000)):
        engine("event", event)

    assert numbers_from(source, 3000) == list(range(3000))


def test_what_exceeds_the_bound_is_dropped_and_told_without_waiting_for_more(
    hand_over, listen
):
    engine = hand_over(held_bytes=20_000)
    for event in events(range(2000)):
        engine("event", event)
    dropped = engine.lost
    assert 0 < engine.held <= 2000 - dropped < 2000

    source, counters = listen()
    kept = 2000 - dropped
    assert numbers_from(source, kept) == list(range(kept))
    assert hear(source, lambda: counters.value("documents_missed_total") > 0)

    assert counters.value("documents_missed_total") == dropped
    assert counters.value("documents_rejected_total") == 0
    engine("event", events([7])[0])
    assert numbers_from(source, 1) == [7]
    assert counters.value("documents_missed_total") == dropped
    assert engine.lost == dropped


def test_a_restart_of_the_daemon_costs_at_most_what_was_on_its_way(hand_over, listen):
    engine = hand_over()
    first, _ = listen()
    for event in events(range(100)):
        engine("event", event)
    assert numbers_from(first, 100) == list(range(100))
    first.close()
    time.sleep(0.2)  # for the closed connection to be noticed
    for event in events(range(100, 300)):
        engine("event", event)

    second, counters = listen()

    assert numbers_from(second, 200) == list(range(100, 300))
    assert counters.value("documents_missed_total") == 0


def endless():
    doc = {}
    doc["data"] = doc
    return doc


class Odd:
    def __str__(self):
        raise RuntimeError("not even a text")


@pytest.mark.parametrize(
    "doc",
    [
        {"data": 2**80},
        endless(),
        {"data": Odd()},
        {"text": "\ud800"},
        {"image": bytes(MAX_BYTES)},
        None,
    ],
    ids=["huge number", "endless", "no text", "half a character", "oversized", "none"],
)
def test_a_document_that_cannot_be_sent_is_counted_and_stops_nothing(
    doc, hand_over, listen
):
    engine = hand_over()
    source, counters = listen()
    engine("event", events([1])[0])

    engine("event", doc)

    engine("event", events([2])[0])
    received = numbers_from(source, 2)
    if doc is None:  # an empty body, which is for the daemon to reject
        assert counters.value("documents_rejected_total", reason="body") == 1
    else:
        assert engine.lost == 1
        assert counters.value("documents_missed_total") == 1
    assert received == [1, 2]


def test_after_it_is_closed_documents_are_only_counted(hand_over):
    engine = hand_over()
    for event in events(range(1000)):
        engine("event", event)
    began = time.monotonic()

    engine.close(timeout_s=0.3)

    assert time.monotonic() - began < 2.0
    assert engine.lost >= 500
    before = engine.lost
    engine("event", events([1])[0])
    assert engine.lost == before + 1
    engine.close()


def test_a_close_waits_for_no_thread_that_hangs(port, monkeypatch):
    hangs = threading.Event()
    monkeypatch.setattr(HandOver, "_send_some", lambda self: hangs.wait(60.0))
    engine = HandOver(f"127.0.0.1:{port}")
    for event in events(range(3)):
        engine("event", event)
    closing = threading.Thread(target=engine.close, args=(0.1,), name="closing")
    closing.start()

    closing.join(WAIT_S)

    ended = not closing.is_alive()
    hangs.set()
    closing.join(WAIT_S)
    engine._thread.join(WAIT_S)
    engine._context.destroy(linger=0)
    assert ended
    assert engine.lost == 3


def test_closing_sends_what_is_held_if_the_daemon_takes_it(hand_over, listen):
    engine = hand_over()
    for event in events(range(500)):
        engine("event", event)
    source, _ = listen()
    found = []
    reading = threading.Thread(
        target=lambda: found.extend(numbers_from(source, 500)), name="reading"
    )
    reading.start()

    engine.close(timeout_s=WAIT_S)

    reading.join(WAIT_S)
    assert found == list(range(500))
    assert engine.lost == 0


def test_several_run_engines_are_told_apart(hand_over, listen):
    source, counters = listen()
    engines = [hand_over() for _ in range(3)]
    for number in range(50):
        for engine in engines:
            engine("event", events([number])[0])

    assert sorted(numbers_from(source, 150)) == sorted([*range(50)] * 3)
    assert counters.value("documents_missed_total") == 0


def test_what_no_hand_over_sent_is_rejected(port, listen):
    source, counters = listen()
    session = b"0123456789abcdef"
    with zmq.Context() as context, context.socket(zmq.PUSH) as stranger:
        stranger.setsockopt(zmq.LINGER, 1000)
        stranger.connect(f"tcp://127.0.0.1:{port}")
        stranger.send(encode_frame("event", {"seq_num": 0}))
        stranger.send(b"garbage")
        stranger.send_multipart([session + b".0 event", b"\x80"])
        stranger.send(session + b".0 event \xc1")
        stranger.send(session + b".1 evnt \x80")
        stranger.send(encode_frame("event", {"seq_num": 5}, session + b".2"))

        assert numbers_from(source, 1) == [5]

    rejected = {
        reason: counters.value("documents_rejected_total", reason=reason)
        for reason in ("frame", "body", "name")
    }
    assert rejected == {"frame": 3, "body": 1, "name": 1}
    assert counters.value("documents_missed_total") == 0


def test_a_stranger_knocking_does_not_hide_the_run_engine(port, hand_over, listen):
    source, counters = listen()
    engine = hand_over()
    assert hear(source, lambda: counters.value("source_connected") == 1)

    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    time.sleep(0.2)

    assert source.receive(0.3) is None
    assert source.connected
    assert counters.value("source_connected") == 1
    engine.close()
    assert hear(source, lambda: counters.value("source_connected") == 0)


def test_an_address_that_is_taken_or_is_none_says_so(port, listen):
    listen()
    with pytest.raises(InvalidSourceError, match="nobody listens yet"):
        open_source(f"handover://127.0.0.1:{port}", Counters())
    with pytest.raises(SourceError, match="name host:port"):
        HandOver("127.0.0.1")
