import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import pytest

from xasnn_stream.client import results
from xasnn_stream.simulation.processes import TERMINATE_S, listens

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SCANS = 3


@pytest.fixture
def demo():
    command = [sys.executable, "-m", "xasnn_stream.cli.main", "demo", "--json"]
    process = subprocess.Popen(
        [*command, "--scans", str(SCANS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=60)


def _read_until_summary(process):
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if lines[-1]["event"] == "summary":
            return lines
    pytest.fail(f"no summary; standard error: {process.stderr.read()}")


def test_every_sweep_comes_back_both_ways_and_ctrl_c_ends_everything(demo):
    ready, *estimates, summary = _read_until_summary(demo)

    assert ready["event"] == "ready"
    assert ready["source"].startswith("zmq://127.0.0.1:")
    assert [line["event"] for line in estimates] == ["estimate"] * SCANS
    assert summary["sweeps"] == summary["on_feed"] == summary["in_tiled"] == SCANS
    assert summary["complete"] is True
    # Three sweeps are no statistics (those are the model card's): three times the
    # median of the README's long series leaves room for chance.
    assert summary["median_error_cn1"] <= 0.8
    *metallic, oxidized = estimates
    assert oxidized["truth"]["oxidized"] == 1.0
    assert oxidized["estimate"]["verdict"] == "outside"
    assert (summary["oxidized"], summary["oxidized_ok"]) == (1, 0)
    for line in metallic:
        # Simulated from the theory the model learnt: nothing here is new to it.
        assert line["estimate"]["verdict"] in ("ok", "caution")
        cn1 = line["estimate"]["descriptors"]["cn1"]
        assert abs(cn1["value"] - line["truth"]["cn1"]) < 2.5
        low, high = cn1["interval"]
        # cn1 goes from 0 to 12: an interval of a third of that would say nothing.
        assert 0 < high - low <= 4
        assert re.fullmatch("[0-9a-f]{32}", line["estimate"]["id"])

    # It serves on: what the feed said is what Tiled holds.
    uid = estimates[0]["estimate"]["run"]["uid"]
    (stored,) = results(uid, ready["tiled"], ready["api_key"])
    assert stored == estimates[0]["estimate"]

    # The foil is measured once, before anything listens; then one run per sweep.
    recorded = Path(ready["folder"], "documents.jsonl").read_text().splitlines()
    assert [json.loads(line)[0] for line in recorded].count("start") == SCANS

    demo.send_signal(signal.SIGINT)
    # Tiled, proxy and daemon end one after the other, each killed after TERMINATE_S.
    assert demo.wait(timeout=4 * TERMINATE_S) == 0
    for address in ("page", "feed", "tiled", "source"):
        assert not listens(urlparse(ready[address]).port)
