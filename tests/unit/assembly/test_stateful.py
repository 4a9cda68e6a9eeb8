"""Documents of runs of all shapes at once, whatever happens to them on the way.

Nothing raises, runs do not mix, what is called complete is true, what was lost is found
when a stored run is read, and nothing is kept of runs that are over.
"""

import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.files import Files
from xasnn_stream.profile import load_profile
from xasnn_stream.simulation.documents.shapes import SHAPES, generate
from xasnn_stream.telemetry.counters import Counters

SWEEPS = 3
LIVE, STORED = "zmq://live", "backfill stored"
_FOLDER = tempfile.TemporaryDirectory(prefix="xasnn-shapes-")


@cache
def series(shape, seed):
    """Some sweeps of a shape, one or many runs of them, with their truth."""
    folder = Path(_FOLDER.name) / f"{shape}-{seed}"
    folder.mkdir()
    return generate(shape, directory=folder, seed=seed, sweeps=SWEEPS)


@cache
def profiles():
    return tuple(load_profile(shape).assembly for shape in SHAPES)


@cache
def truths():
    return {
        (truth.run, truth.sweep): truth
        for shape in SHAPES
        for seed in (0, 1)
        for truth in series(shape, seed).truth
    }


def check(spectrum):
    """A sweep that is said to be complete is what it says it is."""
    truth = truths()[spectrum.run.uid, spectrum.run.sweep]
    assert spectrum.problem is None, spectrum.problem
    assert spectrum.run.direction == truth.direction
    for name, value in spectrum.conditions.items():
        # A reading that was lost leaves its neighbours to interpolate between.
        assert abs(truth.conditions.get(name, value) - value) < 5.0
    energy = spectrum.energy_ev
    assert len(energy) > 300
    net = {
        role: (spectrum.channels[role] - spectrum.offsets.get(role, 0.0))
        * spectrum.scales.get(role, 1.0)
        for role in ("i0", "it")
    }
    inside = (energy >= truth.energy_ev[0]) & (energy <= truth.energy_ev[-1])
    error = np.log(net["i0"] / net["it"])[inside] - truth.mu_at(energy[inside])
    assert np.abs(error).max() < 2e-3 * truth.step


class Beamlines(RuleBasedStateMachine):
    """Two series of every shape, sent at once to one assembler."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0
        self.waiting = {}
        self.spoilt, self.delayed = set(), set()
        self.finals = []
        self.ended = []
        self.begin()

    def begin(self):
        self.counters = Counters()
        self.assembler = Assembler(
            profiles(),
            self.counters,
            clock=lambda: self.now_s,
            files=Files(None, {}, timeout_s=5.0),
        )

    def receive(self, name, doc, source=LIVE):
        self.take(self.assembler.receive(name, doc, source))

    def take(self, spectra):
        for spectrum in spectra:
            assert spectrum.run.final
            if spectrum.run.complete:
                check(spectrum)
        self.finals += spectra
        self.ended += self.assembler.take_ended()

    def chosen(self, data):
        return data.draw(st.sampled_from(sorted(self.waiting)))

    @rule(shape=st.sampled_from(tuple(SHAPES)), seed=st.integers(0, 1))
    def start_a_series(self, shape, seed):
        if (shape, seed) not in self.waiting and (shape, seed) not in self.spoilt:
            self.waiting[shape, seed] = list(series(shape, seed).documents)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), count=st.integers(1, 300), twice=st.booleans())
    def send(self, data, count, twice):
        key = self.chosen(data)
        documents, self.waiting[key] = (
            self.waiting[key][:count],
            self.waiting[key][count:],
        )
        for name, doc in documents:
            for _ in range(1 + twice):
                self.receive(name, doc)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), first=st.integers(0, 40), count=st.integers(1, 5))
    def lose(self, data, first, count):
        key = self.chosen(data)
        if self.waiting[key][first : first + count]:
            self.spoilt.add(key)
        del self.waiting[key][first : first + count]

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), first=st.integers(0, 20), back=st.integers(1, 4))
    def delay(self, data, first, back):
        """A document comes after those behind it: disorder of a transport."""
        key = self.chosen(data)
        documents = self.waiting[key]
        if first + back < len(documents) and documents[first][0] != "start":
            documents.insert(first + back, documents.pop(first))
            self.delayed.add(key)

    @rule(seconds=st.sampled_from([0.2, 1.0, 7.0, 70.0]))
    def fall_silent(self, seconds):
        self.now_s += seconds
        self.take(self.assembler.release_idle_runs())
        self.assembler.take_orphans()

    @rule()
    def look_at_partials(self):
        for spectrum, _ in self.assembler.partials({LIVE}):
            assert not spectrum.run.final

    @rule()
    def restart(self):
        for key, documents in self.waiting.items():
            if len(documents) < len(series(*key).documents):
                self.spoilt.add(key)
        self.begin()

    def teardown(self):
        for documents in self.waiting.values():
            for name, doc in documents:
                self.receive(name, doc)
        self.now_s += 1.0
        self.take(self.assembler.release_idle_runs())
        self.take(self.assembler.close_open_runs(LIVE))
        self.each_sweep_once()
        for key in self.waiting:
            self.recover(series(*key))
        self.nothing_is_kept()
        super().teardown()

    def each_sweep_once(self):
        """Of what was not spoilt, every sweep is complete, once."""
        whole = [s for s in self.finals if s.run.complete]
        complete = Counter((s.run.uid, s.run.sweep) for s in whole)
        conditions = {(s.run.uid, s.run.sweep): s.conditions for s in whole}
        for key in set(self.waiting) - self.spoilt:
            for truth in series(*key).truth:
                sweep = truth.run, truth.sweep
                assert complete[sweep] == 1, (key, sweep)
                # A monitor that comes too late tells a sweep that is out nothing.
                if key not in self.delayed:
                    assert conditions[sweep].keys() >= truth.conditions.keys()

    def recover(self, stored):
        """Read runs again as recovery does: each sweep is there, and true."""
        self.finals, self.ended = [], []
        for name, doc in stored.documents:
            if name == "start":
                self.assembler.forget_run(doc["uid"], STORED)
            self.receive(name, doc, STORED)
        found = {(s.run.uid, s.run.sweep) for s in self.finals if s.run.complete}
        assert found == {(truth.run, truth.sweep) for truth in stored.truth}
        assert sum(end.sweeps for end in self.ended) == len(stored.truth)

    def nothing_is_kept(self):
        self.now_s += 7 * 3600.0
        self.take(self.assembler.release_idle_runs())
        router = self.assembler._router
        assert not router.routes
        assert not router._children
        assert not router._held._waiting
        assert router._held._count == router._held._values == 0
        assert not self.assembler.waits


TestBeamlines = Beamlines.TestCase
TestBeamlines.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
