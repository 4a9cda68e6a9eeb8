"""Hostile documents among good runs: rejected, counted, and nothing else disturbed."""

import json
import pickle
import time
import urllib.request

import msgpack
import numpy as np
import pytest
import zmq

from xasnn_stream.shipped import model_folder
from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.simulation.processes import Children
from xasnn_stream.simulation.services import plan_services, start_daemon
from xasnn_stream.sources.codec import MAX_BYTES, encode_document, encode_frame

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

PROFILE = "sim-step"
WAIT_S = 60.0
NAMES = 10_000
HUGE = 10**12


class Bomb:
    """Leaves a file behind where its pickle is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def services(tmp_path):
    if not (model_folder("pt-l3-xanes") / "manifest.json").exists():
        pytest.skip("the model pt-l3-xanes is not trained in this checkout")
    return plan_services(tmp_path)


@pytest.fixture
def publisher(services):
    """The proxy's outgoing side, so that bytes go out as they are."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.bind(f"tcp://127.0.0.1:{services.out_port}")
        yield socket


@pytest.fixture
def children(tmp_path, publisher):
    with Children(tmp_path / "logs") as children:
        yield children


def bytes_that_are_no_document(trap):
    """Frames, and the reason each has to be counted under."""
    objects = {
        b"nd": True,
        b"type": "|O",
        b"kind": b"O",
        b"shape": [1],
        b"data": pickle.dumps([Bomb(trap)]),
    }
    rows = objects | {b"type": "<f8", b"shape": [HUGE], b"data": bytes(8)}
    parsed = rows | {b"type": "f8,,", b"shape": [1]}
    endless = rows | {b"shape": [HUGE, 0], b"data": b""}
    yield b" event " + pickle.dumps({"uid": Bomb(trap)}), "pickle"
    for array in (objects, rows, parsed, endless):
        yield b" event " + msgpack.packb({"data": {"i0": array}}), "body"
    yield b" event " + bytes(50 * 2**20), "oversized"
    yield b" event " + bytes(MAX_BYTES), "oversized"
    yield b" event \x81\xa1\xff\x01", "body"
    yield b' event {"sample": "\xff\xfe"}', "body"
    yield b' start {"sample": "\\ud800"}', "body"
    yield b" event " + b"\x81\xa1a" * 10**6, "body"
    yield b" event " + b'{"a":' * 10**6, "body"
    yield b" \xff\xfe\xfd \x80", "name"
    yield b"\x00\xff\xfe", "frame"
    for number in range(NAMES):
        yield b" name%d \x80" % number, "name"


def documents_that_promise_too_much(uid):
    """An own run of each: well-formed documents of things nobody could hold."""
    start = {"uid": uid, "time": 1.0, "plan_name": "xas_step_scan", "element": "Pt"}
    start |= {"edge": "L3", "num_points": HUGE}
    key = {"source": "x", "dtype": "array", "shape": [HUGE], "external": "STREAM:"}
    descriptor = {"uid": f"{uid}-d", "run_start": uid, "time": 1.0, "name": "primary"}
    descriptor |= {"data_keys": {"mono_energy": key, "i0": key, "it": key}}
    file = {"uid": f"{uid}-r", "run_start": uid, "data_key": "i0", "parameters": {}}
    file |= {"mimetype": "application/x-hdf5", "uri": "file://localhost/dev/zero"}
    datum = {"uid": f"{uid}-x", "stream_resource": f"{uid}-r", "descriptor": f"{uid}-d"}
    ranges = {"start": 0, "stop": HUGE}
    datum |= {"indices": ranges, "seq_nums": {"start": 1, "stop": HUGE + 1}}
    event = {"uid": "e", "descriptor": f"{uid}-d", "seq_num": HUGE, "time": 1.0}
    event |= {"data": {"mono_energy": 1.0, "i0": 1.0, "it": 1.0}, "timestamps": {}}
    page = event | {"seq_num": [HUGE, -1], "time": [1.0], "data": {"i0": [[]] * 100}}
    yield "start", start
    yield "descriptor", descriptor
    yield "stream_resource", file
    yield "stream_datum", datum
    yield "event", event
    yield "event_page", page
    stop = {"uid": f"{uid}-s", "run_start": uid, "time": 2.0, "exit_status": "success"}
    yield "stop", stop | {"num_events": {"primary": HUGE}}


def get(services, path):
    with urllib.request.urlopen(f"{services.page}{path}", timeout=10) as answer:
        return answer.read().decode()


def counted(services, name):
    """The values of a metric by their labels."""
    lines = get(services, "/metrics").splitlines()
    found = [line for line in lines if line.startswith(f"xasnn_{name}")]
    return {key: float(value) for key, value in (line.split() for line in found)}


def wait_until(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_hostile_documents_are_counted_and_disturb_no_run(
    services, publisher, children, tmp_path
):
    generated = generate(PROFILE, seed=3, sweeps=2, directory=tmp_path)
    good, first = generated.documents, generated.truth[0]
    table = np.column_stack([first.energy_ev, first.mu])
    np.savetxt(services.foil, table, delimiter=",", header="energy,mu", comments="")
    uids = [doc["uid"] for name, doc in good if name == "start"]
    trap = tmp_path / "opened"
    start_daemon(children, services, PROFILE, results=False)
    hostile = list(bytes_that_are_no_document(trap))
    expected = {}
    for _, reason in hostile:
        expected[reason] = expected.get(reason, 0) + 1

    # One hostile frame behind every good one, the rest in the middle of the second run.
    waiting = list(reversed(hostile))
    for name, doc in good[: len(good) * 3 // 4]:
        publisher.send(encode_frame(name, doc))
        publisher.send(waiting.pop()[0])
    for frame, _ in reversed(waiting):
        publisher.send(frame)
    for name, doc in documents_that_promise_too_much("bad"):
        publisher.send(b" " + name.encode() + b" " + encode_document(doc))
    for name, doc in good[len(good) * 3 // 4 :]:
        publisher.send(encode_frame(name, doc))

    def estimates():
        results = json.loads(get(services, "/api/history"))["results"]
        found = [result["estimate"] for result in results]
        return {e["run"]["uid"]: e for e in found}

    wait_until(lambda: set(uids) <= set(estimates()))
    for uid in uids:
        assert estimates()[uid]["run"]["complete"] is True
        assert estimates()[uid]["verdict"] != "rejected"
        assert estimates()[uid]["accounting"]["n_missed"] == 0
    bad = estimates().get("bad")
    assert bad is None or bad["verdict"] == "rejected"
    rejected = counted(services, "documents_rejected_total")
    for reason, times in expected.items():
        (found,) = [v for key, v in rejected.items() if f'reason="{reason}"' in key]
        assert found == times, reason
    assert len(rejected) < 20, "names that were sent are no labels"
    assert not trap.exists()
    assert "Traceback" not in (tmp_path / "logs" / "daemon.log").read_text()
    assert np.isfinite(estimates()[uids[0]]["quality"]["edge_step"])
