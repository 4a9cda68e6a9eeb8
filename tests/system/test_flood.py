"""More documents than anything holds, and a daemon that stands still: all is recovered."""

import json
import os
import signal
import threading
import time
import urllib.request
from dataclasses import dataclass

import numpy as np
import pytest
import zmq

from xasnn_stream.shipped import model_folder
from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.simulation.processes import Children
from xasnn_stream.simulation.services import plan_services, start_daemon, start_proxy
from xasnn_stream.sources.codec import encode_frame, encode_line

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

STALL_S = 4.0
CONNECTING_S = 1.0
RECOVERED_S = 400.0


@dataclass(frozen=True)
class Flood:
    """The frames of many runs, the same as lines, and their sweeps as (uid, number)."""

    frames: list[bytes]
    lines: list[bytes]
    sweeps: set[tuple[str, int]]


def flood(shape, runs, sweeps, folder):
    """One simulated run over and over, each time with uids of its own, of today."""
    generated = generate(shape, seed=1, sweeps=sweeps, directory=folder)
    later_s = time.time() - generated.documents[0][1]["time"]
    documents = [(n, d | {"time": d["time"] + later_s}) for n, d in generated.documents]
    frames = [encode_frame(*named) for named in documents]
    lines = [encode_line(*named) for named in documents]
    uids = {
        d["uid"] for name, d in generated.documents if name in ("start", "descriptor")
    }
    told = {(truth.run, truth.sweep) for truth in generated.truth}
    flood = Flood([], [], set())
    for number in range(runs):
        again = {uid: f"{number:08d}{uid[8:]}" for uid in uids}
        flood.frames.extend(renamed(frame, again) for frame in frames)
        flood.lines.extend(renamed(line, again) for line in lines)
        flood.sweeps.update((again[uid], sweep) for uid, sweep in told)
    return flood, generated.truth[0]


def renamed(data, uids):
    for old, new in uids.items():
        data = data.replace(old.encode(), new.encode())
    return data


@pytest.fixture
def services(tmp_path):
    if not (model_folder("pt-l3-xanes") / "manifest.json").exists():
        pytest.skip("the model pt-l3-xanes is not trained in this checkout")
    return plan_services(tmp_path)


@pytest.fixture
def children(tmp_path):
    with Children(tmp_path / "logs") as children:
        yield children


def get(services, path):
    with urllib.request.urlopen(f"{services.page}{path}", timeout=60) as answer:
        return answer.read().decode()


def metric(services, name, label=""):
    lines = get(services, "/metrics").splitlines()
    found = [x for x in lines if x.startswith(f"xasnn_{name}") and label in x]
    assert found, name
    return sum(float(line.split()[-1]) for line in found)


def daemon_pid(services):
    """The process that serves the page."""
    port = str(services.http_port)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline") as file:
                    words = file.read()
            except OSError:
                continue
            if "xasnn_stream.cli.main" in words and port in words:
                return int(entry)
    raise AssertionError("the daemon is not running")


def stall(pid):
    """Stop the daemon for a while, from now."""
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(STALL_S, os.kill, (pid, signal.SIGCONT)).start()


@pytest.mark.parametrize(("shape", "runs", "sweeps"), [("sim-step", 190, 1)])
def test_a_flood_over_a_daemon_that_stands_still_loses_no_sweep(
    shape, runs, sweeps, services, children, tmp_path
):
    sent, truth = flood(shape, runs, sweeps, tmp_path)
    table = np.column_stack([truth.energy_ev, truth.mu])
    np.savetxt(services.foil, table, delimiter=",", header="energy,mu", comments="")
    services.record.write_bytes(b"")
    start_proxy(children, services)
    start_daemon(
        children, services, shape, results=False, backfill=str(services.record)
    )
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 10_000)
        publisher.setsockopt(zmq.SNDHWM, 0)  # what is lost, is lost behind it
        publisher.connect(f"tcp://{services.publish}")
        time.sleep(CONNECTING_S)
        stall(daemon_pid(services))
        began = time.monotonic()
        for frame in sent.frames:
            publisher.send(frame)
        sending_s = time.monotonic() - began
    services.record.write_bytes(b"".join(sent.lines))

    complete, seq = set(), 0
    deadline = time.monotonic() + RECOVERED_S
    while complete != sent.sweeps:
        assert time.monotonic() < deadline, sorted(sent.sweeps - complete)[:5]
        children.check()
        results = json.loads(get(services, f"/api/history?since={seq}"))["results"]
        for result in results:
            seq = result["seq"]
            run = result["estimate"]["run"]
            if run["complete"]:
                complete.add((run["uid"], run["sweep"]))
        if not results:
            time.sleep(0.5)

    heard = metric(services, "documents_received_total", services.source)
    recovered = metric(services, "runs_recovered_total")
    assert 0 < heard < len(sent.frames), "nothing was lost: the test shows nothing"
    assert recovered > 0
    print(
        f"{shape}: {len(sent.frames)} documents in {sending_s:.1f} s, {heard:.0f} heard; "
        f"{recovered:.0f} of {runs} runs recovered, all {len(complete)} sweeps complete "
        f"{time.monotonic() - began:.0f} s after the first document"
    )
    assert "Traceback" not in (tmp_path / "logs" / "daemon.log").read_text()
