"""Sources and engines that do what a test says."""

import queue
import threading
import time
from dataclasses import replace

from xasnn_stream.profile import load_profile
from xasnn_stream.sources.document import Document

POINTS = 5
SETTINGS = load_profile("sim-step").assembly


def run_documents(uid, plan="xas_step_scan", events=POINTS):
    yield (
        "start",
        {
            "uid": uid,
            "time": 1.0,
            "plan_name": plan,
            "element": "Pt",
            "edge": "L3",
            "num_points": POINTS,
        },
    )
    keys = ("mono_energy", "i0", "it", "ir")
    yield (
        "descriptor",
        {
            "uid": f"{uid}-d",
            "run_start": uid,
            "name": "primary",
            "data_keys": {k: {"dtype": "number", "shape": []} for k in keys},
        },
    )
    for n in range(events):
        data = {"mono_energy": 11500.0 + n, "i0": 1e6, "it": 5e5, "ir": 2e5}
        yield (
            "event",
            {"descriptor": f"{uid}-d", "seq_num": n + 1, "time": 2.0 + n, "data": data},
        )
    yield (
        "stop",
        {"uid": f"{uid}-s", "run_start": uid, "num_events": {"primary": POINTS}},
    )


class Recorded:
    """A source that holds documents; live ones do not end by themselves."""

    def __init__(self, documents, *, can_wait=True, address="test"):
        self.address = address
        self.can_wait = can_wait
        self.connected = False
        self.closed = threading.Event()
        self._documents = queue.SimpleQueue()
        self.put(*documents)

    @property
    def waiting(self):
        return self._documents.qsize()

    def put(self, *documents):
        for document in documents:
            self._documents.put(document)

    @property
    def exhausted(self):
        return self.can_wait and self._documents.empty()

    def receive(self, timeout_s):
        self.connected = True
        try:
            name, doc = self._documents.get(timeout=timeout_s)
        except queue.Empty:
            return None
        return Document(name, doc, time.monotonic())

    def close(self):
        self.closed.set()


class Engine:
    """Estimates what the test says; remembers the sizes of its batches."""

    device = "cpu"

    def __init__(self, make_estimate):
        self._make = make_estimate
        self.batches = []
        self.open = threading.Event()
        self.open.set()

    def warm_up(self):
        """Nothing is broken."""

    def estimate(self, spectra):
        assert self.open.wait(20)
        self.batches.append(len(spectra))
        return [self._estimate(spectrum) for spectrum in spectra]

    def _estimate(self, spectrum):
        run = spectrum.run
        estimate = self._make(
            run.uid,
            sweep=run.sweep,
            complete=run.complete,
            rejected=bool(spectrum.problem),
        )
        return replace(
            estimate,
            id=estimate.id if run.final else None,
            run=run,
            accounting=spectrum.accounting,
        )


def uids(log):
    return [d.estimate["run"]["uid"] for d in log.read(0, 10_000)]


def wait_until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
