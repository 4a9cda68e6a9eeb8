import threading
import time

import pytest

from xasnn_stream.errors import RefusedError, SinkError
from xasnn_stream.results import ResultLog
from xasnn_stream.sinks import follow
from xasnn_stream.sinks.follow import Follower
from xasnn_stream.telemetry.counters import Counters


class Sink:
    """Collects rows; fails as often as the test says, before or after it took them."""

    name = "test"

    def __init__(self, failures=0, *, took=False):
        self.rows = []
        self.failures = failures
        self.took = took
        self.idled = threading.Event()
        self.closed = 0

    def deliver(self, deliveries):
        if self.failures:
            self.failures -= 1
            if self.took:
                self.rows += [d.seq for d in deliveries]
            raise SinkError("not now")
        self.rows += [d.seq for d in deliveries]

    def idle(self):
        self.idled.set()

    def close(self):
        self.closed += 1


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(follow, "RETRY_S", (0.01, 0.02))


@pytest.fixture
def log(tmp_path):
    log = ResultLog(tmp_path / "results.sqlite")
    yield log
    log.close()


@pytest.fixture
def counters():
    return Counters()


def append(log, make_estimate, *uids):
    log.append([make_estimate(uid) for uid in uids], [0.0] * len(uids), "cpu")


def start(sink, log, counters):
    deaths = []
    follower = Follower(sink, log, counters, lambda *death: deaths.append(death))
    return follower, deaths


def wait_until(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_rows_arrive_in_order_and_the_cursor_follows(log, counters, make_estimate):
    sink = Sink()
    append(log, make_estimate, "a", "b")
    follower, deaths = start(sink, log, counters)
    append(log, make_estimate, "c")
    wait_until(lambda: len(sink.rows) == 3)
    assert sink.idled.wait(5)
    assert follower.stop(1, 5)
    follower.show_pending()
    assert sink.rows == [1, 2, 3]
    assert log.cursor("test") == 3
    assert (sink.closed, deaths) == (1, [])
    assert counters.value("sink_pending", sink="test") == 0


@pytest.mark.parametrize("took", [False, True])
def test_a_failed_delivery_is_counted_and_repeated_whole(
    log, counters, make_estimate, took
):
    sink = Sink(failures=3, took=took)
    append(log, make_estimate, "a", "b")
    follower, _ = start(sink, log, counters)
    wait_until(lambda: log.cursors()["test"] == 2)
    assert follower.stop(1, 5)
    assert sink.rows[-2:] == [1, 2]
    assert set(sink.rows) == {1, 2}
    assert counters.value("sink_errors_total", sink="test") == 3


def test_what_a_dead_end_did_not_take_stays_for_the_next_start(
    log, counters, make_estimate
):
    append(log, make_estimate, "a")
    sink = Sink(failures=10**9)
    follower, _ = start(sink, log, counters)
    wait_until(lambda: counters.value("sink_errors_total") > 2)
    append(log, make_estimate, "b")
    follower.show_pending()
    assert counters.value("sink_pending", sink="test") == 2
    stopped = time.monotonic()
    assert not follower.stop(0.1, 5)
    assert time.monotonic() - stopped < 3
    assert log.cursor("test") == 0
    assert sink.closed == 1
    again = Sink()
    follower, _ = start(again, log, counters)
    wait_until(lambda: again.rows == [1, 2])
    assert follower.stop(1, 5)


def test_stopping_first_delivers_what_is_pending(log, counters, make_estimate):
    sink = Sink(failures=2)
    append(log, make_estimate, *(f"r{n}" for n in range(200)))
    follower, _ = start(sink, log, counters)
    assert follower.stop(10, 5)
    assert sink.rows == list(range(1, 201))


def test_a_sink_that_comes_after_trimming_goes_on_from_there(
    log, counters, make_estimate
):
    append(log, make_estimate, "a", "b")
    log.trim(0)
    sink = Sink()
    follower, _ = start(sink, log, counters)
    wait_until(lambda: follower.pending == 0)
    append(log, make_estimate, "c")
    wait_until(lambda: sink.rows == [3])
    assert follower.stop(1, 5)


def test_a_row_that_is_refused_for_good_holds_nothing_back(
    log, counters, make_estimate, caplog
):
    sink = Sink()

    def deliver(deliveries):
        if any(d.seq == 2 for d in deliveries):
            raise RefusedError("413 too large")
        sink.rows += [d.seq for d in deliveries]

    sink.deliver = deliver
    append(log, make_estimate, "a", "b", "c")
    follower, deaths = start(sink, log, counters)
    wait_until(lambda: follower.pending == 0)
    assert follower.stop(1, 5)
    assert (sink.rows, deaths) == ([1, 3], [])
    assert counters.value("sink_refused_total", sink="test") == 1
    (error,) = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert make_estimate("b").id in error
    assert "413 too large" in error


def test_a_surprise_in_a_sink_is_reported_as_a_death(log, counters, make_estimate):
    sink = Sink()
    sink.deliver = lambda deliveries: 1 / 0
    append(log, make_estimate, "a")
    follower, deaths = start(sink, log, counters)
    wait_until(lambda: deaths)
    assert deaths[0][0] == "sink-test"
    assert sink.closed == 1
    assert not follower.stop(0, 5)
