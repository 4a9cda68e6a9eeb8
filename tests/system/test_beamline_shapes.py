"""One daemon hears documents of every shape at once, spoilt in many ways."""

import itertools
import json
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass

import numpy as np
import pytest
import zmq

from xasnn_stream import client
from xasnn_stream.handover import HandOver
from xasnn_stream.shipped import model_folder
from xasnn_stream.simulation.documents import SHAPES
from xasnn_stream.simulation.documents.faults import FAULTS, spoil
from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.simulation.documents.spoilt import Spoilt
from xasnn_stream.simulation.documents.truth import Generated
from xasnn_stream.simulation.processes import Children, free_ports
from xasnn_stream.simulation.services import plan_services
from xasnn_stream.sources.codec import encode_frame, encode_line

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(240),
    # Bluesky's and its dependencies' own imports warn.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SWEEPS = 2
START_S, RECOVERED_S, ALIKE = 60.0, 60.0, 1e-9
FILE_TIMEOUT_S, LATE_S = 5.0, 2.0

CASES = [
    ("sead", "bmm-step"),
    ("wrong-e0", "bmm-step"),
    ("missing-stop", "bmm-step"),
    ("lost-events", "bmm-step"),
    ("disorder", "sim-step"),
    ("event-pages", "sim-step"),
    ("lost-events", "sim-quick"),
    ("lost-descriptor", "sim-quick"),
    ("not-numbers", "sim-quick"),
    ("duplicated", "sim-quick"),
    ("late-file", "iss-fly"),
    ("saturated", "iss-fly"),
    ("late-descriptor", "dls-fly"),
    ("missing-file", "dls-fly"),
    ("zero-rows", "dls-fly"),
    ("outside-root", "dls-fly"),
]


@dataclass(frozen=True)
class Case:
    """Documents as they were measured and as they arrive."""

    fault: str
    shape: str
    generated: Generated
    spoilt: Spoilt

    @property
    def stored(self):
        """What a store has: a measurement is stored as it was, lost on the way or not."""
        lost = FAULTS[self.fault].outcome == "lost"
        return self.generated.documents if lost else self.spoilt.documents

    def expected(self):
        """Outcome and reason by sweep, once all that was lost is recovered."""
        sweeps = [(truth.run, truth.sweep) for truth in self.generated.truth]
        return {key: FAULTS[self.fault].expected(self.spoilt, key) for key in sweeps}


class Daemon:
    """A daemon process with all profiles, and everything its feed has said."""

    def __init__(self, services, children):
        (port,) = free_ports(1)
        self.inlet = f"handover://127.0.0.1:{port}"
        self.services = services
        self.children = children
        self.data = services.folder / "data"
        self.data.mkdir()
        self.results = []
        # It is ready once all its sources are there, a RunEngine's process, too.
        self.hand_over = HandOver(self.inlet)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def start(self):
        services = self.services
        command = [
            *(sys.executable, "-m", "xasnn_stream.cli.main", "run", *SHAPES),
            *("--source", services.source),
            *("--source", self.inlet),
            *("--feed", services.feed),
            *("--http", f"127.0.0.1:{services.http_port}"),
            *("--reference", str(services.foil)),
            *("--state", str(services.folder / "state")),
            *("--backfill", str(services.record)),
            *("--data-root", str(self.data)),
            *("--file-timeout", str(FILE_TIMEOUT_S)),
        ]
        self.children.start("daemon", command, {})
        self.children.wait_until(self._ready, "the daemon", START_S)
        self._subscription = client.subscribe(services.feed, timeout_s=0.2)
        assert self._subscription.ready(20)
        self._thread.start()

    def close(self):
        self.hand_over.close()
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(10)
            self._subscription.close()

    def get(self, path):
        url = f"{self.services.page}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name, label=""):
        lines = self.get("/metrics").splitlines()
        found = [x for x in lines if x.startswith(f"xasnn_{name}") and label in x]
        return sum(float(line.split()[-1]) for line in found)

    def complete(self):
        """The complete results by run and sweep; each must come once."""
        found = {}
        for result in list(self.results):
            run = result.estimate["run"]
            if run["complete"]:
                key = run["uid"], run["sweep"]
                assert key not in found, f"{key} came twice"
                found[key] = result
        return found

    def without_file(self):
        """Results of sweeps whose file did not come; it still may, so not complete."""
        found = {}
        for result in list(self.results):
            if "no_file" in codes(result):
                found[result.estimate["run"]["uid"], 0] = result
        return found

    def wait_for(self, keys):
        deadline = time.monotonic() + RECOVERED_S
        while (
            missing := set(keys) - self.complete().keys() - self.without_file().keys()
        ):
            self.children.check()
            assert time.monotonic() < deadline, (missing, self.log())
            time.sleep(0.1)

    def log(self):
        return (self.services.folder / "logs" / "daemon.log").read_text()

    def _ready(self):
        try:
            return bool(self.get("/readyz"))
        except OSError:
            return False

    def _listen(self):
        while not self._ending.is_set():
            self.results.extend(self._subscription)


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    if not (model_folder("pt-l3-xanes") / "manifest.json").exists():
        pytest.skip("the model pt-l3-xanes is not trained in this checkout")
    services = plan_services(tmp_path_factory.mktemp("shapes"))
    services.record.touch()
    truth = generate("sim-quick", directory=services.folder, sweeps=1).truth[0]
    table = np.column_stack([truth.energy_ev, truth.mu_reference])
    np.savetxt(services.foil, table, delimiter=",", header="energy,mu", comments="")
    return services


@pytest.fixture(scope="module")
def publisher(services):
    """A proxy's outgoing side, which sees that the daemon subscribed."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.bind(f"tcp://127.0.0.1:{services.out_port}")
        yield socket


@pytest.fixture(scope="module")
def daemon(services, publisher):
    with Children(services.folder / "logs") as children:
        daemon = Daemon(services, children)
        try:
            daemon.start()
            assert publisher.poll(10_000), "the daemon does not listen"
            yield daemon
        finally:
            daemon.close()


def made(number, fault, shape, folder):
    folder = folder / f"{number}-{fault}"
    folder.mkdir()
    generated = generate(shape, directory=folder, seed=number, sweeps=SWEEPS)
    return Case(fault, shape, generated, spoil(fault, shape, generated))


def in_turn(lists):
    """One document of each list after the other."""
    rounds = itertools.zip_longest(*lists)
    return [document for one in rounds for document in one if document is not None]


def recorded(lists, path):
    with path.open("ab") as file:
        file.writelines(itertools.starmap(encode_line, itertools.chain(*lists)))


def replayed(source):
    """The estimate of every sweep in documents that nothing happened to."""
    from xasnn_stream.assembly.files import Files
    from xasnn_stream.replay import Request, replay
    from xasnn_stream.sources.selection import Selection

    request = Request(
        profiles=list(SHAPES),
        overrides={},
        source=str(source),
        selection=Selection(),
        reference=str(source.with_name("foil.csv")),
        results=None,
        feed=None,
        state=None,
        files=Files(None, {}, timeout_s=0.5),
    )
    return {(e.run.uid, e.run.sweep): e for e in replay(request)}


def codes(result):
    """The codes of a result's reasons."""
    return {found["code"] for found in result.estimate["reasons"]}


def check(result, outcome, reason):
    """Fail unless a sweep's last result is what the table of faults says."""
    estimate = result.estimate
    rejected = estimate["verdict"] == "rejected"
    assert rejected == (outcome == "rejected"), estimate["reasons"]
    if reason:
        assert reason in codes(result)
    if outcome in ("measured", "lost"):
        assert estimate["accounting"]["n_missed"] == 0


def check_same(result, undisturbed):
    """Fail unless a sweep's numbers are those of an undisturbed replay."""
    assert result.estimate["id"] == undisturbed.id
    assert result.estimate["verdict"] == undisturbed.verdict
    assert result.estimate["conditions"] == pytest.approx(dict(undisturbed.conditions))
    for name in ("energy", "mu_normalized"):
        found, wanted = result.arrays[name], undisturbed.arrays[name]
        assert found.shape == wanted.shape
        assert np.allclose(found, wanted, rtol=0, atol=ALIKE, equal_nan=True), name


def test_every_sweep_of_every_shape_becomes_what_the_table_of_faults_says(
    daemon, publisher, services
):
    cases = [made(n, *case, daemon.data) for n, case in enumerate(CASES, start=1)]
    recorded([case.stored for case in cases], services.record)
    for name, doc in in_turn([case.spoilt.documents for case in cases]):
        publisher.send(encode_frame(name, doc))
    time.sleep(LATE_S)
    for path, hidden in itertools.chain(*(case.spoilt.late.items() for case in cases)):
        hidden.rename(path)

    expected = {key: e for case in cases for key, e in case.expected().items()}
    wanted = {k: e for k, e in expected.items() if e[0] not in ("ignored", "absent")}
    daemon.wait_for(wanted)

    without_file = daemon.without_file()
    assert without_file.keys() == {k for k, e in wanted.items() if e[1] == "no_file"}
    found = daemon.complete() | without_file
    assert found.keys() == wanted.keys()
    for key, (outcome, reason) in wanted.items():
        check(found[key], outcome, reason)
    unspoilt = services.record.with_name("unspoilt.jsonl")
    recorded([case.generated.documents for case in cases], unspoilt)
    undisturbed = replayed(unspoilt)
    for key, (outcome, _) in wanted.items():
        if outcome in ("measured", "lost"):
            check_same(found[key], undisturbed[key])

    # What lost nothing, was told once.
    incomplete = [r for r in daemon.results if not r.estimate["run"]["complete"]]
    for result in incomplete:
        run = result.estimate["run"]
        outcome, reason = wanted[run["uid"], run["sweep"]]
        assert outcome == "lost" or reason == "no_file"
    recovered = {key[0] for key, (outcome, _) in wanted.items() if outcome == "lost"}
    assert daemon.metric("runs_recovered_total") == len(recovered)
    assert daemon.metric("runs_incomplete") == len(without_file)
    assert daemon.metric("runs_ignored_total") == 1
    rejected = [r for r in daemon.results if r.estimate["verdict"] == "rejected"]
    counted = daemon.metric("estimates_total", 'verdict="rejected"')
    assert counted == len(rejected)
    # Rows without a description, and those in files of somebody else.
    assert daemon.metric("documents_rejected_total", "orphan") == SWEEPS
    (outside,) = [case for case in cases if case.fault == "outside-root"]
    names = [name for name, _ in outside.spoilt.documents]
    refused = names.count("stream_datum")
    assert daemon.metric("documents_rejected_total", "invalid") == refused
    assert daemon.metric("documents_rejected_total") == SWEEPS + refused
    assert "Traceback" not in daemon.log()


def test_a_run_engine_hands_over_runs_one_after_the_other(daemon):
    from xasnn_stream.simulation.beamline import seeded
    from xasnn_stream.simulation.demo import prepare_series
    from xasnn_stream.simulation.experiment import experiment, run_plan

    series = prepare_series(2, seeded(1))
    starts, sent = [], []
    with experiment() as engine:
        engine.subscribe(lambda name, doc: sent.append(name))
        engine.subscribe(lambda name, doc: starts.append(doc), "start")
        engine.subscribe(daemon.hand_over)
        for chapter in series.chapters:
            run_plan(engine, series.beamline.sweep(chapter))
    uids = [start["uid"] for start in starts]
    daemon.wait_for({(uid, 0) for uid in uids})

    found = [r for r in daemon.results if r.estimate["run"]["uid"] in uids]
    assert [r.estimate["run"]["uid"] for r in found] == uids
    for result, start in zip(found, starts, strict=True):
        estimate = result.estimate
        assert estimate["verdict"] != "rejected", estimate["reasons"]
        assert estimate["sample"] == start["sample"]
        assert estimate["accounting"]["n_missed"] == 0
        assert np.isfinite(result.arrays["mu_normalized"]).all()
    source = f'source="{daemon.inlet}"'
    assert daemon.metric("documents_received_total", source) == len(sent)
    assert daemon.metric("documents_missed_total", source) == 0
    status = json.loads(daemon.get("/api/status"))
    assert status["waits_for"] == []
    assert daemon.hand_over.lost == 0
