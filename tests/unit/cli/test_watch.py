import json
import os
import re
import signal
import threading
import time

import pytest

from xasnn_stream.cli import watch as command
from xasnn_stream.cli.line import (
    descriptors_text,
    remarks_text,
    scan_text,
    size_text,
)
from xasnn_stream.cli.main import main
from xasnn_stream.cli.watch import _text_line
from xasnn_stream.client import Result
from xasnn_stream.errors import DocumentError
from xasnn_stream.results import ResultLog
from xasnn_stream.sinks.feed import FeedSink


@pytest.fixture(autouse=True)
def _ctrl_c_is_pythons():
    """Other tests may have left a handler of the daemon."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def feed():
    sink = FeedSink("tcp://127.0.0.1:*")
    yield sink
    sink.close()


@pytest.fixture
def rows(tmp_path, make_estimate):
    log = ResultLog(tmp_path / "results.sqlite")
    estimates = [
        make_estimate("a"),
        make_estimate("b", sample=None, complete=False),
        make_estimate("c", rejected=True),
    ]
    log.append(estimates, [0.0123, 0.02, 0.03], "cpu")
    yield log.read(0, 10)
    log.close()


def watching(sink, act, *options):
    """Watch the feed with the command itself, act in another thread, then Ctrl-C."""

    def perform():
        act()
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    acting = threading.Thread(target=perform)
    acting.start()
    code = main(["watch", sink.address, *options])
    acting.join()
    return code


def serve(sink, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sink.idle()
        time.sleep(0.01)


def test_a_line_has_what_a_person_asks_first(feed, rows, capsys):
    def act():
        serve(feed, 0.3)
        feed.deliver(rows)

    assert watching(feed, act) == 0
    written = capsys.readouterr()
    whole, gapped, rejected = written.out.splitlines()
    assert re.match(r"\d\d:\d\d:\d\d +5  Pt/C +ok ", whole)
    assert "cn1 9.1 (8.3–9.8)  cn2 9.1 (8.3–9.8)  12 ms" in whole
    assert "incomplete, 3 missing" in gapped
    assert "rejected" in rejected
    assert "I0 is zero everywhere" in rejected
    assert written.err.splitlines() == [f"watching {feed.address}"]


def test_json_is_the_delivery_and_nothing_else(feed, rows, capsys):
    def act():
        serve(feed, 0.3)
        feed.deliver(rows)

    assert watching(feed, act, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [json.loads(json.dumps(row.header())) for row in rows]


def test_missed_results_are_named(feed, rows, capsys):
    def act():
        serve(feed, 0.3)
        feed.deliver([rows[0], rows[2]])

    assert watching(feed, act) == 0
    written = capsys.readouterr()
    assert len(written.out.splitlines()) == 2
    assert "missed between 1 and 3" in written.err
    assert "/api/history?since=1" in written.err


def test_a_feed_that_falls_silent_and_comes_back_is_told(feed, monkeypatch, capsys):
    monkeypatch.setattr(command, "SILENT_S", 1.5)
    monkeypatch.setattr(command, "_SLICE_S", 0.05)

    def act():
        serve(feed, 0.3)
        time.sleep(2.5)
        feed._status_due = 0.0
        serve(feed, 0.3)

    assert watching(feed, act) == 0
    first, silent, heard = capsys.readouterr().err.splitlines()
    assert first == f"watching {feed.address}"
    assert "silent for" in silent
    assert heard == f"{feed.address}: heard"


def test_a_daemon_that_is_not_there_yet_is_waited_for(feed, rows, monkeypatch, capsys):
    monkeypatch.setattr(command, "FIRST_WORD_S", 0.2)
    monkeypatch.setattr(command, "_SLICE_S", 0.05)

    def act():
        time.sleep(0.6)
        serve(feed, 0.3)
        feed.deliver(rows[:1])

    assert watching(feed, act) == 0
    written = capsys.readouterr()
    assert "is a daemon running there?" in written.err
    assert written.err.splitlines()[-1] == f"{feed.address}: heard"
    assert len(written.out.splitlines()) == 1


def test_a_wrong_address_is_one_sentence(capsys):
    assert main(["watch", "nowhere"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "tcp://nowhere" in line
    assert "tcp://127.0.0.1:5578" in line


def test_numbers_have_the_decimals_of_their_unit():
    def descriptor(value, interval, unit=""):
        return {"value": value, "interval": interval, "unit": unit}

    estimate = {
        "descriptors": {
            "cn1": descriptor(9.72, [9.06, 10.31]),
            "r1": descriptor(2.7751, None, "angstrom"),
            "cn2": descriptor(None, None),
        }
    }
    assert descriptors_text(estimate) == "cn1 9.7 (9.1–10.3)  r1 2.775  cn2 -"


def test_a_size_is_a_diameter_in_nanometres():
    diameter = {"value": 14.8, "interval": [13.1, 35.8], "unit": "angstrom"}
    assert size_text({"size": {"diameter": diameter}}) == "1.5 nm (1.3–3.6)"
    open_ended = {"value": None, "interval": [29.5, None], "unit": "angstrom"}
    assert size_text({"size": {"diameter": open_ended}}) == "> 3.0 nm"
    assert size_text({"size": None}) == ""


def test_a_scan_is_named_by_what_it_has():
    run = {"scan_id": 5, "uid": "0123456789", "sweep": 0}
    assert scan_text(run) == "5"
    assert scan_text(run | {"sweep": 2}) == "5/2"
    assert scan_text(run | {"scan_id": None}) == "01234567"


def test_a_partial_estimate_is_not_called_incomplete(make_estimate):
    document = make_estimate(complete=False).document()
    assert remarks_text(document) == "incomplete, 3 missing"
    document["accounting"]["n_missed"] = 0
    assert remarks_text(document) == "incomplete"
    document["run"]["final"] = False
    assert remarks_text(document) == ""


@pytest.mark.parametrize("estimate", [{}, {"run": {}, "verdict": "ok"}])
def test_an_estimate_of_another_form_is_one_sentence(estimate):
    result = Result("final.x", 1, None, 0.0, 0.0, "cpu", estimate, {}, gap=False)
    with pytest.raises(DocumentError, match=r"on topic 'final.x' is of another form"):
        _text_line(result)
