"""The daemon as its own process, with a real Tiled server and a real publisher."""

import contextlib
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid

import numpy as np
import pytest
import zmq

from xasnn_stream import client
from xasnn_stream.shipped import model_folder
from xasnn_stream.sources.codec import encode_frame, encode_line

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

EDGE_EV = 11564.0
START_S = 60.0
COMMAND = [sys.executable, "-m", "xasnn_stream.cli.main"]


def absorption(energy, shift=0.0):
    """A made-up L3 edge of step one: an arctangent, a white line, a wiggle."""
    x = energy - EDGE_EV - shift
    white = 0.5 * np.exp(-(((x - 3) / 4) ** 2))
    wiggle = 0.05 * np.where(x > 0, np.sin(x / 12) * np.exp(-x / 90), 0.0)
    return np.arctan(x / 2) / np.pi + 0.5 + white + wiggle


def energies():
    parts = (
        np.arange(-150, -20, 10.0),
        np.arange(-20, 60, 0.5),
        np.arange(60, 420, 4.0),
    )
    return EDGE_EV + np.concatenate(parts)


def documents(number, *, started):
    """The documents of a step scan; the same number gives the same measurement."""
    rng = np.random.default_rng(number)
    uid = str(uuid.UUID(int=number + 1))
    energy = energies()
    i0 = rng.poisson(1e7, energy.size).astype(float)
    it = rng.poisson(i0 * np.exp(-0.3 - absorption(energy, 0.2 * number))).astype(float)
    ir = rng.poisson(it * np.exp(-absorption(energy))).astype(float)
    yield (
        "start",
        {
            "uid": uid,
            "time": started,
            "scan_id": number,
            "plan_name": "xas_step_scan",
            "element": "Pt",
            "edge": "L3",
            "sample": f"made-up {number}",
            "num_points": energy.size,
        },
    )
    keys = ("mono_energy", "i0", "it", "ir")
    yield (
        "descriptor",
        {
            "uid": f"{uid}-d",
            "run_start": uid,
            "time": started,
            "name": "primary",
            "data_keys": {
                k: {"dtype": "number", "shape": [], "source": "x"} for k in keys
            },
        },
    )
    for row, values in enumerate(zip(energy, i0, it, ir, strict=True)):
        yield (
            "event",
            {
                "uid": f"{uid}-{row}",
                "descriptor": f"{uid}-d",
                "seq_num": row + 1,
                "time": started + row,
                "data": dict(zip(keys, map(float, values), strict=True)),
                "timestamps": dict.fromkeys(keys, started),
            },
        )
    yield (
        "stop",
        {
            "uid": f"{uid}-s",
            "run_start": uid,
            "time": started + energy.size,
            "exit_status": "success",
            "num_events": {"primary": energy.size},
        },
    )


class Beamline:
    """Publishes runs on 0MQ and records them, heard or not, as JSON lines."""

    def __init__(self, folder):
        self.record = folder / "documents.jsonl"
        self.foil = folder / "foil.csv"
        energy = energies()
        table = np.column_stack([energy, absorption(energy)])
        np.savetxt(self.foil, table, delimiter=",", header="energy,mu", comments="")
        self.started = time.time()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.url = f"zmq://127.0.0.1:{port}"

    def run(self, number):
        """Publish and record one run; return when its stop document went out."""
        with self.record.open("ab") as record:
            for name, doc in documents(number, started=self.started):
                self._socket.send(encode_frame(name, doc))
                record.write(encode_line(name, doc))
        return time.monotonic()

    def close(self):
        self._socket.close()
        self._context.term()


class Daemon:
    """A daemon process that can be killed and started again with the same state."""

    def __init__(self, folder, beamline, tiled, ports):
        self.feed = f"tcp://127.0.0.1:{ports[0]}"
        self.page = f"http://127.0.0.1:{ports[1]}"
        self._output = (folder / "daemon.log").open("a")
        self.log = folder / "daemon.log"
        self._environment = os.environ | {"XASNN_TILED_API_KEY": tiled.key}
        self._command = [
            *COMMAND,
            *("run", "sim-step", "--source", beamline.url, "--feed", self.feed),
            *("--http", self.page.removeprefix("http://"), "--results", tiled.url),
            *("--reference", str(beamline.foil), "--state", str(folder / "state")),
            *("--backfill", str(beamline.record)),
        ]
        self.process = None

    def start(self):
        started = time.monotonic()
        self.process = subprocess.Popen(
            self._command,
            stdout=self._output,
            stderr=self._output,
            env=self._environment,
        )
        while not self.ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - started < START_S, self.log.read_text()
            time.sleep(0.05)
        return time.monotonic() - started

    def ready(self):
        try:
            urllib.request.urlopen(f"{self.page}/readyz", timeout=5).close()
        except OSError:
            return False
        return True

    def get(self, path):
        with urllib.request.urlopen(self.page + path, timeout=5) as answer:
            return answer.read().decode()

    def wait_for_results(self, count):
        deadline = time.monotonic() + 60
        while True:
            status = json.loads(self.get("/api/status"))
            pending = [sink["pending"] for sink in status["sinks"].values()]
            if status["newest"] >= count and not any(pending):
                return
            assert time.monotonic() < deadline, (status, self.log.read_text())
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)
        self._output.close()


@pytest.fixture
def beamline(tmp_path):
    if not (model_folder("pt-l3-xanes") / "manifest.json").exists():
        pytest.skip("the model pt-l3-xanes is not trained in this checkout")
    beamline = Beamline(tmp_path)
    beamline.record.touch()
    yield beamline
    beamline.close()


@pytest.fixture
def daemon(tmp_path, beamline, tiled_server, free_ports):
    daemon = Daemon(tmp_path, beamline, tiled_server, free_ports(2))
    yield daemon
    daemon.close()


@contextlib.contextmanager
def listening(address, count):
    """Collect results of a feed until there are `count`, or none for a while."""
    received = []
    subscription = client.subscribe(address, timeout_s=30.0)
    assert subscription.ready(20)

    def listen():
        received.extend(itertools.islice(subscription, count))

    thread = threading.Thread(target=listen)
    thread.start()
    yield received
    thread.join(40)
    subscription.close()


def test_kill_9_between_runs_changes_no_id_and_loses_no_result(
    beamline, daemon, tiled_server
):
    uids = [str(uuid.UUID(int=number + 1)) for number in range(8)]
    daemon.start()
    with listening(daemon.feed, 8) as received:
        for number in range(3):
            beamline.run(number)
        daemon.wait_for_results(3)
        daemon.kill()
        for number in range(3, 5):
            beamline.run(number)  # nobody hears these
        restart_s = daemon.start()
        daemon.wait_for_results(5)
        for number in range(5, 8):
            beamline.run(number)
        daemon.wait_for_results(8)
    metrics = daemon.get("/metrics")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(40) == 0, daemon.log.read_text()

    ids = {r.estimate["run"]["uid"]: r.estimate["id"] for r in received}
    assert sorted(ids) == uids, "every run is on the feed"
    assert len({r.seq for r in received}) == len(received) == 8
    assert not any(r.gap for r in received)
    assert "xasnn_runs_recovered_total 2.0" in metrics
    assert 'xasnn_estimates_total{verdict="rejected"} 0.0' in metrics
    for uid in uids:
        (stored,) = client.results(uid, tiled_server.url, tiled_server.key)
        assert stored["id"] == ids[uid]
        assert stored["run"]["complete"]
    print(f"restarted in {restart_s:.1f} s")

    replayed = replay(beamline, str(beamline.record))
    assert {e["run"]["uid"]: e["id"] for e in replayed} == ids
    live = {r.estimate["id"]: r.estimate for r in received}
    for estimate in replayed:
        check_same_numbers(estimate, live[estimate["id"]])


def check_same_numbers(one, other):
    """Two estimates agree; sums over batches of another size may round otherwise."""
    assert one["verdict"] == other["verdict"]
    assert one["quality"] == pytest.approx(other["quality"], abs=1e-6)
    assert one["descriptors"].keys() == other["descriptors"].keys() != set()
    for name, descriptor in one["descriptors"].items():
        same = other["descriptors"][name]
        assert descriptor["interval"] == pytest.approx(same["interval"], abs=1e-6)
        for part in ("value", "std", "std_model", "std_noise", "std_ambiguity"):
            assert descriptor[part] == pytest.approx(same[part], abs=1e-6)


def replay(beamline, source, *options):
    done = subprocess.run(
        [
            *(*COMMAND, "replay", "sim-step", source, "--json"),
            *("--reference", str(beamline.foil), *options),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_replay_chooses_runs_and_fails_when_there_are_none(beamline):
    for number in range(3):
        beamline.run(number)
    chosen = str(uuid.UUID(int=2))
    (only,) = replay(beamline, str(beamline.record), "--uid", chosen)
    assert only["run"]["uid"] == chosen
    done = subprocess.run(
        [*COMMAND, "replay", "sim-step", str(beamline.record), "--uid", "nothing"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "no run in" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_replay_from_tiled_and_from_lines_agree_and_can_be_stored(
    beamline, tiled_server, monkeypatch
):
    from bluesky_tiled_plugins import TiledWriter
    from tiled.client import from_uri

    monkeypatch.setenv("XASNN_TILED_API_KEY", tiled_server.key)
    server = from_uri(tiled_server.url, api_key=tiled_server.key)
    writer = TiledWriter(server.create_container("raw-replay"))
    for number in (20, 21):
        beamline.run(number)
        for name, doc in documents(number, started=beamline.started):
            writer(name, doc)
    server.context.close()
    stored = replay(beamline, f"tiled+{tiled_server.url}/raw-replay")
    results = f"{tiled_server.url}/replayed"
    lines = replay(beamline, str(beamline.record), "--results", results)
    assert [e["id"] for e in stored] == [e["id"] for e in lines]
    assert len(lines) == 2
    for ours, theirs in zip(stored, lines, strict=True):
        check_same_numbers(ours, theirs)
        (kept,) = client.results(ours["run"]["uid"], results, tiled_server.key)
        assert kept["id"] == ours["id"]


def test_results_come_quickly_and_garbage_is_only_counted(beamline, daemon):
    daemon.start()
    with client.subscribe(daemon.feed, timeout_s=10.0) as subscription:
        assert subscription.ready(20)
        beamline._socket.send(b"\x80\x04K\x01.")
        beamline._socket.send_multipart([b"two", b"frames"])
        seconds = []
        for number in range(20):
            stopped = beamline.run(number)
            result = next(subscription)
            seconds.append(time.monotonic() - stopped)
            assert result.estimate["run"]["scan_id"] == number
            assert result.arrays["grid_spectra"].shape[0] == 3
    print(
        f"stop to feed: median {statistics.median(seconds):.3f} s, max {max(seconds)}"
    )
    # The bar of a step scan, with room for a machine that is busy with other tests.
    assert statistics.median(seconds) <= 0.25
    rejected = [
        line
        for line in daemon.get("/metrics").splitlines()
        if line.startswith("xasnn_documents_rejected_total") and line.endswith(" 1.0")
    ]
    assert len(rejected) == 2


def test_a_daemon_over_a_file_ends_with_it(beamline, tmp_path):
    beamline.run(0)
    state = tmp_path / "once"
    done = subprocess.run(
        [
            *(*COMMAND, "run", "sim-step", "--source", str(beamline.record)),
            *("--feed", "none", "--http", "none", "--state", str(state)),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all sources ended" in done.stderr
    assert (state / "results.sqlite").exists()
