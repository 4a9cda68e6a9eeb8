import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import zmq

from xasnn_stream.client import subscribe
from xasnn_stream.errors import DocumentError, SourceError, UsageError
from xasnn_stream.partials import Partials
from xasnn_stream.results import ResultLog
from xasnn_stream.sinks.feed import FeedSink


@pytest.fixture
def rows(tmp_path, make_estimate):
    log = ResultLog(tmp_path / "results.sqlite")
    log.append([make_estimate("a"), make_estimate("b")], [0.01, 0.02], "cpu")
    yield log.read(0, 10)
    log.close()


def idle_until(sink, done):
    while not done():
        sink.idle()
        time.sleep(0.005)


def test_a_subscriber_knows_when_it_is_heard(rows):
    sink = FeedSink("tcp://127.0.0.1:*")
    with subscribe(sink.address, timeout_s=0.2) as subscription:
        assert not subscription.ready(0.15), "nobody answers yet"
        heard = []
        waiting = threading.Thread(target=lambda: heard.append(subscription.ready(5)))
        waiting.start()
        idle_until(sink, lambda: heard)
        waiting.join()
        assert heard == [True]
        sink.deliver(rows)
        assert [r.seq for r in subscription] == [1, 2]
    sink.close()


def test_results_that_waited_for_a_restart_wait_for_the_subscriber_too(rows):
    old = FeedSink("tcp://127.0.0.1:*")
    received = []

    def listen():
        with subscribe(old.address, timeout_s=2.0) as subscription:
            received.append(subscription.ready(5))
            received.extend(r.estimate["run"]["uid"] for r in subscription)

    listening = threading.Thread(target=listen)
    listening.start()
    idle_until(old, lambda: received)
    old.close()
    new = FeedSink(old.address)
    new.deliver(rows)
    listening.join(10)
    new.close()
    assert received == [True, "a", "b"]


def test_an_address_in_use_is_named(rows):
    sink = FeedSink("tcp://127.0.0.1:*")
    with pytest.raises(UsageError, match="--feed"):
        FeedSink(sink.address)
    sink.close()


def test_a_topic_can_be_one_profile(rows):
    sink = FeedSink("tcp://127.0.0.1:*")
    with subscribe(sink.address, topics=["final.other"], timeout_s=0.3) as other:
        sink.deliver(rows)
        assert list(other) == []
    sink.close()


def partial(make_estimate, uid, progress=0.5):
    estimate = make_estimate(uid)
    run = replace(estimate.run, final=False, progress=progress)
    return replace(estimate, id=None, run=run)


def test_partial_estimates_come_on_their_own_topic_and_are_no_gaps(rows, make_estimate):
    partials = Partials()
    sink = FeedSink("tcp://127.0.0.1:*", partials)
    topics = ["final.", "partial."]
    with subscribe(sink.address, topics=topics, timeout_s=0.3) as subscription:
        sink.deliver(rows[:1])
        first = partial(make_estimate, "open")
        partials.publish([first], [0.25], "cpu")
        sink.idle()
        sink.idle()
        partials.publish([partial(make_estimate, "open", 0.75)], [0.5], "cpu")
        sink.deliver(rows[1:])
        received = list(subscription)
    sink.close()
    seen = [(r.topic, r.seq, r.estimate["run"]["progress"], r.gap) for r in received]
    assert seen == [
        ("final.sim-step", 1, 1.0, False),
        ("partial.sim-step", None, 0.5, False),
        ("partial.sim-step", None, 0.75, False),
        ("final.sim-step", 2, 1.0, False),
    ]
    assert received[1].estimate["id"] is None
    assert received[1].latency_s == 0.25
    sent = received[1].arrays["mu_normalized"]
    np.testing.assert_array_equal(sent, first.arrays["mu_normalized"])


def test_only_who_asks_sees_partial_estimates(rows, make_estimate):
    partials = Partials()
    sink = FeedSink("tcp://127.0.0.1:*", partials)
    with subscribe(sink.address, timeout_s=0.3) as subscription:
        partials.publish([partial(make_estimate, "open")], [0.0], "cpu")
        sink.deliver(rows)
        assert [r.topic for r in subscription] == ["final.sim-step"] * 2
    sink.close()


def test_a_foreign_publisher_is_recognised():
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 0)
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        address = f"tcp://127.0.0.1:{port}"
        with subscribe(address, topics=[""], timeout_s=5) as subscription:
            for parts in ([b"final.x", b"\xc1"], [b"final.x"]):
                stop = threading.Event()

                def talk(parts=parts, stop=stop):
                    while not stop.wait(0.01):
                        publisher.send_multipart(parts)

                talking = threading.Thread(target=talk)
                talking.start()
                with pytest.raises(DocumentError, match="not a result"):
                    next(subscription)
                stop.set()
                talking.join()


def test_a_malformed_address_is_an_error_that_names_it():
    with pytest.raises(SourceError, match="nowhere"):
        subscribe("nowhere")
