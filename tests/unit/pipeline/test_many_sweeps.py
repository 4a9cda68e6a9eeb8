"""Runs of many sweeps: each result at once, and every sweep in the end, whatever happens.

One event is one sweep here, and goes out while the run goes on.
"""

import json
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.partials import Partials
from xasnn_stream.pipeline import Limits, Pipeline
from xasnn_stream.pipeline import pipeline as module
from xasnn_stream.profile import load_profile
from xasnn_stream.recovery import missing as recovery
from xasnn_stream.recovery.backfill import Backfill
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.sources.open import open_store
from xasnn_stream.spectrum import RunEnded
from xasnn_stream.telemetry.counters import Counters

from .acting import Recorded, wait_until

SETTINGS = load_profile("sim-quick").assembly
ENERGY = np.arange(11500.0, 11505.0).tolist()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(module, "CHORES_EVERY_S", 0.0)
    monkeypatch.setattr(recovery, "FIRST_DELAY_S", 0.05)
    monkeypatch.setattr(recovery, "LONGEST_DELAY_S", 0.2)


def quick_run(uid, sweeps):
    """Documents of a run: start, descriptor, an event for every sweep, stop."""
    start = {
        "uid": uid,
        "time": time.time(),
        "plan_name": "xas_quick_scan",
        "element": "Pt",
        "edge": "L3",
        "num_points": sweeps,
    }
    keys = {k: {"dtype": "array", "shape": [5]} for k in ("energy", "i0", "it")}
    descriptor = {
        "uid": f"{uid}-d",
        "run_start": uid,
        "name": "primary",
        "data_keys": keys,
    }
    data = {"energy": ENERGY, "i0": [1e6] * 5, "it": [5e5] * 5}
    events = (
        {"descriptor": f"{uid}-d", "seq_num": n + 1, "time": 2.0 + n, "data": data}
        for n in range(sweeps)
    )
    stop = {
        "uid": f"{uid}-s",
        "run_start": uid,
        "exit_status": "success",
        "num_events": {"primary": sweeps},
    }
    return [
        ("start", start),
        ("descriptor", descriptor),
        *(("event", event) for event in events),
        ("stop", stop),
    ]


def without_sweeps(documents, *sweeps):
    """The documents, but for the events of some sweeps."""
    return [doc for n, doc in enumerate(documents) if n - 2 not in sweeps]


@pytest.fixture
def stored(tmp_path):
    """A function that stores documents in the file that is the backfill."""
    path = tmp_path / "stored.jsonl"
    path.touch()

    def store(documents):
        with path.open("a") as file:
            file.writelines(json.dumps(document) + "\n" for document in documents)

    store.path = path
    return store


@pytest.fixture
def start(log, engine, stored):
    """A function that starts a pipeline with the backfill; it ends with the test."""
    started = []

    def start(*sources, backfill=True, assembler=None, partials=None):
        missing, counters = Missing(), Counters()
        opened = partial(open_store, str(stored.path))
        store = Backfill("stored", opened, [SETTINGS], log, missing, Counters())
        pipeline = Pipeline(
            sources,
            assembler or Assembler([SETTINGS], counters),
            {"sim-quick": engine},
            log,
            counters,
            lambda *death: pytest.fail(str(death)),
            Limits(),
            backfill=store if backfill else None,
            missing=missing,
            partials=partials,
        )
        pipeline.start()
        started.append(pipeline)
        return pipeline, counters, missing

    yield start
    for pipeline in started:
        pipeline.stop(10)


def rows(log, uid="run"):
    """Sweep and completeness of the results of a run, in the order of the log."""
    runs = [d.estimate["run"] for d in log.read(0, 10_000)]
    return [(run["sweep"], run["complete"]) for run in runs if run["uid"] == uid]


def whole(count):
    return [(sweep, True) for sweep in range(count)]


def test_every_sweep_has_its_result_while_the_run_goes_on(start, log):
    documents = quick_run("run", 6)
    source = Recorded(documents[:5], can_wait=False)
    _, _, missing = start(source)
    wait_until(lambda: rows(log) == whole(3))
    assert missing.busy
    assert not log.has_complete("run"), "nobody knows how many are to come"
    source.put(*documents[5:])
    wait_until(lambda: log.has_complete("run"))
    assert rows(log) == whole(6)
    assert (missing.busy, missing.count) == (False, 0)


def test_a_restart_in_mid_run_leaves_no_sweep_out_and_doubles_none(start, log, stored):
    documents = quick_run("run", 1000)
    before = Recorded(documents[:402], can_wait=False)
    pipeline, _, _ = start(before)
    wait_until(lambda: len(rows(log)) == 400)
    assert pipeline.stop(10)
    assert rows(log) == whole(400)
    assert not log.has_complete("run")
    after = Recorded(documents[502:], can_wait=False)
    _, counters, missing = start(after)
    wait_until(lambda: after.waiting == 0)
    stored(documents)
    wait_until(lambda: log.has_complete("run"), 30)
    assert rows(log) == whole(1000)
    wait_until(lambda: counters.value("runs_recovered_total") == 1)
    # Documents without their start are told of late, perhaps after the run is whole.
    wait_until(lambda: missing.count == 0)


def test_a_sweep_lost_in_mid_run_is_healed_once_the_run_is_stored(start, log, stored):
    documents = quick_run("run", 8)
    source = Recorded(without_sweeps(documents[:-1], 2, 3), can_wait=False)
    _, counters, missing = start(source)
    wait_until(lambda: len(rows(log)) == 6)
    time.sleep(0.3)
    assert missing.count == 0, "they may still come, and the store has no end either"
    source.put(documents[-1])
    wait_until(lambda: sorted(rows(log))[2:4] == [(2, False), (3, False)])
    wait_until(lambda: missing.count == 1)
    stored(documents)
    wait_until(lambda: counters.value("runs_recovered_total") == 1)
    assert sorted(rows(log)) == sorted([*whole(8), (2, False), (3, False)])
    assert log.has_complete("run")
    assert missing.count == 0


def test_a_run_recovered_while_its_live_documents_still_come_has_each_sweep_once(
    start, log, stored, monkeypatch
):
    monkeypatch.setattr(recovery, "OVERDUE_S", 0.1)
    documents = quick_run("run", 8)
    source = Recorded(without_sweeps(documents[:6], 2), can_wait=False)
    _, _, missing = start(source)
    wait_until(lambda: len(rows(log)) == 3)
    stored(documents)
    missing.look()
    wait_until(lambda: log.has_complete("run"))
    source.put(*documents[6:])
    wait_until(lambda: not missing.busy)
    time.sleep(0.3)
    assert sorted(rows(log)) == whole(8), "no second result, and no incomplete one"
    assert missing.count == 0


def test_a_run_whose_end_is_known_but_not_two_of_its_sweeps_is_read_again(
    start, log, stored, make_estimate
):
    """As after a power cut, with other sweeps in the batches that were lost."""
    documents = quick_run("run", 10)
    written = [n for n in range(10) if n not in (4, 9)]
    made = [make_estimate("run", sweep=n) for n in written]
    log.append(made, [0.0] * 8, "cpu")
    log.close_runs([RunEnded("run", "sim-quick", "zmq://a", 10)])
    stored(documents)
    start(Recorded([], can_wait=False))
    wait_until(lambda: log.has_complete("run"))
    assert [sweep for sweep, _ in rows(log)] == [*written, 4, 9]


def test_a_run_that_is_whole_in_the_log_is_not_read_again(start, log, stored, engine):
    stored(quick_run("run", 5))
    pipeline, _, _ = start(Recorded(quick_run("run", 5), can_wait=False))
    wait_until(lambda: log.has_complete("run"))
    assert pipeline.stop(10)
    estimated = sum(engine.batches)
    _, _, missing = start(Recorded([], can_wait=False))
    missing.look()
    wait_until(lambda: not missing.scan_due())
    time.sleep(0.3)
    assert sum(engine.batches) == estimated


def test_a_run_that_is_gapped_in_the_store_too_is_read_once(start, log, stored, caplog):
    caplog.set_level("INFO")
    stored(without_sweeps(quick_run("run", 5), 3))
    _, _, missing = start(Recorded([], can_wait=False))
    wait_until(lambda: "incomplete where it is stored, too" in caplog.text)
    time.sleep(0.5)
    assert caplog.text.count("reading it from the store") == 1
    assert sorted(rows(log)) == [(0, True), (1, True), (2, True), (3, False), (4, True)]
    assert missing.count == 1


def test_a_finite_source_that_ends_in_mid_run_lets_the_daemon_end(start, log):
    """No sweep of the run is incomplete, so that only its missing end tells."""
    pipeline, _, missing = start(Recorded(quick_run("cut", 4)[:-1]))
    assert pipeline.finished.wait(20)
    assert rows(log, "cut") == whole(4)
    assert not log.has_complete("cut")
    assert (missing.busy, missing.count) == (False, 1)


class _Late(Assembler):
    """Sweeps as if their files had come two seconds after the end of their run."""

    def receive(self, *document):
        return [replace(found, waited_s=2.0) for found in super().receive(*document)]


def test_time_spent_waiting_for_files_is_part_of_latency_and_told_apart(start, log):
    assembler = _Late([SETTINGS], Counters())
    source = Recorded(quick_run("run", 1), can_wait=False)
    _, counters, _ = start(source, assembler=assembler)
    wait_until(lambda: log.has_complete("run"))
    (delivery,) = log.read(0, 10)
    assert delivery.waited_s == 2.0
    assert 2.0 < delivery.latency_s < 12.0
    (stages,) = [
        series.values
        for series in counters.snapshot()
        if series.metric.name == "stage_duration_seconds"
    ]
    assert (stages["files",].count, stages["files",].sum) == (1, 2.0)
    assert stages["queue",].sum < 2.0, "the queue held it no longer than it did"


def test_a_partial_of_what_became_no_sweep_goes_with_its_run(make_estimate):
    partials = Partials()
    publish = [make_estimate("run", sweep=2), make_estimate("run", sweep=3)]
    for estimate in publish:
        partials.publish([estimate], [0.0], "cpu")
    assert [p.estimate.run.sweep for p in partials.since(0)] == [3]
    partials.end([make_estimate("run", sweep=2)])
    assert [p.estimate.run.sweep for p in partials.since(0)] == [3]
    partials.end_run("run")
    assert partials.since(0) == []


def test_a_sweep_that_is_over_takes_the_partials_before_it_along(make_estimate):
    partials = Partials()
    partials.publish([make_estimate("run", sweep=2)], [0.0], "cpu")
    partials.publish([make_estimate("other", sweep=0)], [0.0], "cpu")
    partials.end([make_estimate("run", sweep=3)])
    assert [p.estimate.run.uid for p in partials.since(0)] == ["other"]
