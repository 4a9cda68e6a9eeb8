import argparse
import json
from pathlib import Path

import pytest

from xasnn_stream.cli.demo import JsonReporter, TableReporter, register
from xasnn_stream.simulation.scoring import Sighting, summarize
from xasnn_stream.simulation.services import Services

SERVICES = Services(Path("/folder"), "key", 1, 2, 3, 4, 5)
CN1 = {"value": 9.12, "interval": [8.4, 9.9], "level": 0.9}
SEEN = Sighting(
    truth={"cn1": 9.0},
    estimate={"sample": "to38", "verdict": "ok", "descriptors": {"cn1": CN1}},
    latency_s=0.031,
    stop_to_feed_s=0.040,
    in_tiled=True,
)
REJECTED = Sighting(
    truth={"cn1": 9.0},
    estimate={"sample": "to38", "verdict": "rejected", "descriptors": {}},
)


def _parse(*arguments):
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    return parser.parse_args(["demo", *arguments])


def test_forty_scans_and_serving_on_are_the_default():
    arguments = _parse()

    assert (arguments.scans, arguments.exit, arguments.json) == (40, False, False)


def test_a_demo_without_scans_is_refused():
    with pytest.raises(SystemExit) as refused:
        _parse("--scans", "0")
    assert refused.value.code == 2


def test_json_prints_lines_and_nothing_else(capsys):
    reporter = JsonReporter()
    reporter.note("starting")
    reporter.ready(SERVICES)
    reporter.estimate(1, SEEN)
    reporter.summary(summarize([SEEN]), SERVICES)
    ready, estimate, summary = map(json.loads, capsys.readouterr().out.splitlines())

    assert ready == {
        "event": "ready",
        "page": "http://127.0.0.1:5",
        "feed": "tcp://127.0.0.1:4",
        "tiled": "http://127.0.0.1:1",
        "api_key": "key",
        "source": "zmq://127.0.0.1:3",
        "folder": "/folder",
    }
    assert estimate["truth"] == {"cn1": 9.0}
    assert estimate["estimate"] == SEEN.estimate
    assert (summary["event"], summary["complete"]) == ("summary", True)


def test_the_table_shows_truth_beside_estimate(capsys):
    reporter = TableReporter()
    reporter.ready(SERVICES)
    reporter.estimate(7, SEEN)
    reporter.estimate(8, REJECTED)
    reporter.estimate(9, Sighting(truth={"cn1": 9.0}))
    reporter.summary(summarize([SEEN, REJECTED]), SERVICES)
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.lstrip()[:1] in ("7", "8", "9")]

    assert rows[0] == ["7", "to38", "9.00", "9.12", "8.40", "…", "9.90", "ok", "31"]
    assert rows[1] == ["8", "to38", "9.00", "rejected", "0"]
    assert rows[2] == ["9", "-", "9.00", "missing", "0"]
    assert any("1 ok, 1 rejected" in line for line in lines)
