import json
import time
from dataclasses import replace

import numpy as np
import pytest

from xasnn_stream.spectrum import Reason
from xasnn_stream.web.stream import AT_START, MAX_CLIENTS, WITH_ARRAYS


def seqs(results):
    return [result["seq"] for result in results]


@pytest.fixture
def append(daemon, make_estimate):
    """A function: put so many further results into the log."""

    def append(count):
        first = daemon.log.newest
        estimates = [make_estimate(f"run-{first + k}") for k in range(count)]
        daemon.log.append(estimates, [0.1] * count, "cpu")
        return estimates

    return append


@pytest.fixture
def make_partial(make_estimate):
    """A function: what is known of a sweep that is being measured."""

    def make(uid, progress, **arrays):
        estimate = make_estimate(uid)
        run = replace(estimate.run, final=False, progress=progress)
        reason = Reason("partial", "the scan is still running")
        return replace(estimate, id=None, run=run, reasons=(reason,), arrays=arrays)

    return make


def test_a_result_reaches_an_open_stream_within_milliseconds(
    daemon, open_stream, append
):
    stream = open_stream()
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    stream.take("status", 1)
    (estimate,) = append(1)
    name, number, result = stream.next()
    assert (name, number, result["seq"]) == ("result", "1", 1)
    assert result["estimate"] == estimate.document()
    assert time.time() - result["published"] < 0.3


def test_a_result_carries_what_is_drawn_of_it(open_stream, append):
    append(1)
    (result,) = open_stream().take("result", 1)
    arrays = result["arrays"]
    assert set(arrays) == {
        "energy",
        "mu_normalized",
        "grid_energy",
        "mu_reference",
        "difference",
    }
    assert len(arrays["energy"]) == len(arrays["mu_normalized"]) == 151
    assert arrays["mu_reference"][-3:] == [None] * 3
    assert arrays["mu_reference"][150] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("form", ["header", "query"])
def test_a_client_goes_on_after_the_result_it_has(open_stream, append, form):
    append(5)
    stream = (
        open_stream(last_event_id="3") if form == "header" else open_stream("?since=3")
    )
    assert seqs(stream.take("result", 2)) == [4, 5]
    append(1)
    assert seqs(stream.take("result", 1)) == [6]


def test_a_browser_that_comes_back_goes_on_where_it_was_and_not_where_it_began(
    open_stream, append
):
    known = [estimate.id for estimate in append(5)]
    stream = open_stream(f"?since=1&id={known[0]}", last_event_id="4")
    name, _, data = stream.next()
    assert (name, data["seq"]) == ("result", 5)


def test_a_new_client_gets_the_latest_results_with_arrays_for_the_newest(
    open_stream, append
):
    append(AT_START + 20)
    results = open_stream().take("result", AT_START)
    assert seqs(results) == list(range(21, AT_START + 21))
    assert ["arrays" in result for result in results].count(True) == WITH_ARRAYS
    assert "arrays" in results[-1]


def test_a_client_far_behind_loses_nothing(open_stream, append):
    append(AT_START + 20)
    results = open_stream("?since=1").take("result", AT_START + 19)
    assert seqs(results) == list(range(2, AT_START + 21))


def test_a_client_that_knows_more_than_the_log_is_told_to_begin_again(
    open_stream, append
):
    append(2)
    stream = open_stream("?since=7")
    name, number, data = stream.next()
    assert (name, number) == ("reset", None)
    assert "fewer results" in data["why"]
    assert seqs(stream.take("result", 2)) == [1, 2]


def test_a_client_that_knows_another_result_there_is_told_to_begin_again(
    open_stream, append
):
    known = [estimate.id for estimate in append(2)]
    stream = open_stream(f"?since=2&id={'0' * 32}")
    name, _, data = stream.next()
    assert name == "reset"
    assert "other results" in data["why"]
    assert seqs(stream.take("result", 2)) == [1, 2]
    name, _, data = open_stream(f"?since=1&id={known[0]}").next()
    assert (name, data["seq"]) == ("result", 2)


@pytest.mark.parametrize("since", ["later", "-1", 30 * "9", "1.5"])
def test_a_since_that_is_no_seq_is_refused(daemon, since):
    code, text = daemon.get(f"/api/stream?since={since}")
    assert code == 400
    assert "seq" in json.loads(text)["error"]


def test_a_partial_is_sent_without_an_id_and_only_the_newest(
    daemon, open_stream, make_partial
):
    energy = np.array([11500.0, 11501.123456])
    mu = np.array([0.5, np.nan])
    for progress in (0.1, 0.2, 0.3):
        partial = make_partial("a", progress, energy=energy, mu=mu)
        daemon.partials.publish([partial], [0.01], "cpu")
    stream = open_stream()
    name, number, data = stream.next()
    assert (name, number, data["seq"]) == ("partial", None, None)
    assert data["estimate"]["run"]["progress"] == 0.3
    assert data["arrays"] == {"energy": [11500.0, 11501.12], "mu": [0.5, None]}
    daemon.partials.publish([make_partial("a", 0.4)], [0.01], "cpu")
    (data,) = stream.take("partial", 1)
    assert data["estimate"]["run"]["progress"] == 0.4


def test_raw_absorption_keeps_its_digits_whatever_its_scale(
    daemon, open_stream, make_partial
):
    mu = 1e-5 * np.linspace(0.0, 1.0, 11)
    partial = make_partial("a", 0.5, energy=np.arange(11.0), mu=mu)
    daemon.partials.publish([partial], [0.01], "cpu")
    (data,) = open_stream().take("partial", 1)
    assert data["arrays"]["mu"] == pytest.approx(mu, abs=1e-9)


def test_a_long_spectrum_is_thinned_to_what_a_plot_can_show(
    daemon, open_stream, make_partial
):
    energy = np.linspace(11000, 12000, 20_000)
    partial = make_partial("a", 0.5, energy=energy, mu=np.sin(energy))
    daemon.partials.publish([partial], [0.01], "cpu")
    (data,) = open_stream().take("partial", 1)
    assert 1000 <= len(data["arrays"]["energy"]) <= 1500
    assert len(data["arrays"]["mu"]) == len(data["arrays"]["energy"])


def test_the_status_comes_by_itself_and_says_how_things_are(daemon, open_stream):
    counters = daemon.counters
    daemon.reasons = ["zmq://x is not connected"]
    counters.set("last_document_timestamp_seconds", 1000.0)
    counters.set("source_connected", 0, source="zmq://x")
    counters.set("queue_depth", 4, queue="documents")
    counters.set("sink_pending", 2, sink="tiled")
    counters.add("documents_missed_total", 3, source="zmq://x")
    counters.add("rows_missed_total", 5, source="zmq://x")
    counters.add("estimates_total", 6, verdict="ok")
    stream = open_stream()
    first, second = stream.take("status", 2)
    assert second["now"] > first["now"]
    assert first["version"] == "x"
    assert first["waits_for"] == ["zmq://x is not connected"]
    assert first["last_document"] == 1000.0
    assert first["connected"] == {"zmq://x": False}
    assert first["queues"] == {"documents": 4}
    assert first["pending"] == {"tiled": 2}
    assert first["missed"] == {"documents": 3, "rows": 5}
    assert first["verdicts"]["ok"] == 6


def test_no_more_clients_are_served_than_agreed_and_a_place_becomes_free_again(
    daemon, open_stream
):
    streams = [open_stream() for _ in range(MAX_CLIENTS)]
    for stream in streams:
        assert stream.answer.status == 200
    code, text = daemon.get("/api/stream")
    assert code == 503
    assert "pages are open already" in text
    streams[0].close()
    deadline = time.monotonic() + 5
    while (stream := open_stream()).answer.status == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stream.take("status", 1)


def test_a_client_that_does_not_read_holds_up_nobody(
    daemon, open_stream, append, make_estimate
):
    lazy = open_stream("?since=0")
    append(600)
    reader = open_stream("?since=0")
    assert len(reader.take("result", 600)) == 600
    assert seqs(lazy.take("result", 600)) == list(range(1, 601))


def test_open_streams_end_at_once_when_the_server_stops(daemon, open_stream, append):
    append(1)
    stream = open_stream()
    stream.take("result", 1)
    started = time.monotonic()
    assert daemon.server.stop(10)
    with pytest.raises(EOFError):
        stream.take("status", 100)
    assert time.monotonic() - started < 1.5


@pytest.fixture
def append_much(daemon, make_estimate):
    """A function: put more into the log than the buffers of a connection hold."""

    def append():
        long = [make_estimate(f"run-{k}", sample="x" * 10_000) for k in range(1500)]
        daemon.log.append(long, [0.1] * len(long), "cpu")

    return append


def test_a_client_that_takes_nothing_gives_its_place_to_another(
    monkeypatch, open_stream, append_much
):
    monkeypatch.setattr("xasnn_stream.web.stream.TAKE_S", 0.3)
    monkeypatch.setattr("xasnn_stream.web.stream.MAX_CLIENTS", 1)
    append_much()
    open_stream("?since=0")
    deadline = time.monotonic() + 5
    while (stream := open_stream()).answer.status == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stream.take("status", 1)


def test_a_client_that_does_not_read_does_not_hold_up_the_end(
    daemon, open_stream, append_much, caplog
):
    append_much()
    open_stream("?since=0")
    time.sleep(1)
    started = time.monotonic()
    assert daemon.server.stop(10)
    assert time.monotonic() - started < 5
    assert "Cancel 1 running task" in caplog.text
