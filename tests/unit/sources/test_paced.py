import time

import numpy as np
import pytest

from xasnn_stream.sources import paced
from xasnn_stream.sources.codec import encode_line
from xasnn_stream.sources.document import Document
from xasnn_stream.sources.open import open_source
from xasnn_stream.sources.paced import PacedSource
from xasnn_stream.telemetry.counters import Counters


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(paced, "time", clock)
    return clock


class Stored:
    """Documents in memory."""

    address, can_wait, connected = "memory", True, True

    def __init__(self, documents):
        self._documents = [Document(name, doc, 0.0) for name, doc in documents]

    @property
    def exhausted(self):
        return not self._documents

    def receive(self, timeout_s):
        return self._documents.pop(0) if self._documents else None

    def close(self):
        self._documents.clear()


def turns(documents, speed, clock):
    """When each document comes, in seconds since the first."""
    source = PacedSource(Stored(documents), speed)
    received = []
    while not source.exhausted:
        document = source.receive(0.2)
        if document is not None:
            assert document.received_s == clock.now_s
            received.append((document.doc, clock.now_s - 1000.0))
    assert [doc for doc, _ in received] == [doc for _, doc in documents]
    return [at for _, at in received]


def test_documents_come_at_their_own_times(clock):
    documents = [
        ("start", {"time": 50.0}),
        ("descriptor", {"time": 50.1}),
        ("event", {"time": 51.0}),
        ("event_page", {"time": [51.5, 52.0]}),
        ("event_page", {"time": np.array([52.5, 53.0])}),
        ("stop", {"time": 53.5}),
    ]
    assert turns(documents, 1.0, clock) == pytest.approx([0, 0.1, 1, 2, 3, 3.5])
    clock.now_s = 1000.0
    assert turns(documents, 10.0, clock) == pytest.approx(
        [0, 0.01, 0.1, 0.2, 0.3, 0.35]
    )


def test_the_night_between_runs_and_long_pauses_are_left_out(clock):
    documents = [
        ("start", {"time": 0.0}),
        ("event", {"time": 10_000.0}),
        ("event", {"time": 10_001.0}),
        ("stop", {"time": 10_002.0}),
        ("start", {"time": 90_000.0}),
        ("stop", {"time": 90_001.0}),
        ("start", {"time": 5.0}),
        ("stop", {"time": 6.0}),
    ]
    assert turns(documents, 1.0, clock) == pytest.approx(
        [0, 60, 61, 62, 62, 63, 63, 64]
    )


def test_a_document_without_or_with_an_earlier_time_comes_at_once(clock):
    documents = [
        ("event", {"time": 7.0}),
        ("event", {}),
        ("event", {"time": "soon"}),
        ("event", {"time": float("nan")}),
        ("event", {"time": 6.0}),
        ("event", {"time": 8.0}),
        ("event_page", {"time": []}),
    ]
    assert turns(documents, 1.0, clock) == pytest.approx([0, 0, 0, 0, 0, 1, 1])


def test_receive_keeps_its_timeout_and_the_document(clock):
    stored = Stored([("start", {"time": 0.0}), ("stop", {"time": 1.0})])
    source = PacedSource(stored, 1.0)
    assert source.receive(0.2) is not None
    assert source.receive(0.2) is None
    assert clock.now_s == pytest.approx(1000.2)
    assert not source.exhausted
    assert source.connected
    found = source.receive(5.0)
    assert found is not None
    assert (found.name, clock.now_s) == ("stop", pytest.approx(1001.0))
    assert source.exhausted


def test_a_real_file_is_paced_by_the_real_clock(tmp_path):
    path = tmp_path / "documents.jsonl"
    rows = [("start", {"uid": "a", "time": 0.0})]
    rows += [("event", {"uid": str(n), "time": n / 10}) for n in range(1, 4)]
    path.write_bytes(b"".join(encode_line(*row) for row in rows))
    source = PacedSource(open_source(str(path), Counters()), 1.0)
    began, received = time.monotonic(), []
    while not source.exhausted:
        document = source.receive(0.05)
        if document is not None:
            received.append(document)
    source.close()
    assert len(received) == 4
    assert received[-1].received_s - began >= 0.3
