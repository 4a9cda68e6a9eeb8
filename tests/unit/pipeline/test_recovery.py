"""The pipeline with a backfill: what is lost comes after all, or is said."""

import json
import time
from functools import partial

import pytest

from xasnn_stream.assembly.patience import Patience
from xasnn_stream.pipeline import pipeline as module
from xasnn_stream.recovery import missing as recovery
from xasnn_stream.recovery.backfill import Backfill
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.sources.open import open_store
from xasnn_stream.telemetry.counters import Counters

from .acting import POINTS, SETTINGS, Recorded, run_documents, uids, wait_until


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(module, "CHORES_EVERY_S", 0.0)
    monkeypatch.setattr(recovery, "FIRST_DELAY_S", 0.05)
    monkeypatch.setattr(recovery, "LONGEST_DELAY_S", 0.2)


@pytest.fixture
def stored(tmp_path):
    """A function that stores runs in the file that is the backfill."""
    path = tmp_path / "stored.jsonl"
    path.touch()

    def store(documents):
        with path.open("a") as file:
            for name, doc in documents:
                doc = doc | {"time": time.time()} if name == "start" else doc
                file.write(json.dumps([name, doc]) + "\n")

    store.path = path
    return store


@pytest.fixture
def recovering(pipeline_of, stored, log):
    """A function that starts a pipeline with the backfill."""

    def start(*sources, **options):
        missing = Missing()
        opened = partial(open_store, str(stored.path))
        backfill = Backfill("stored", opened, [SETTINGS], log, missing, Counters())
        parts = {"backfill": backfill, "missing": missing}
        return *pipeline_of(*sources, **parts, **options), missing

    return start


def results(log):
    return [
        (d.estimate["run"]["uid"], d.estimate["run"]["complete"])
        for d in log.read(0, 100)
    ]


def without(documents, *places):
    return [document for n, document in enumerate(documents) if n not in places]


def test_a_gap_is_said_at_once_and_healed_when_the_run_is_stored(
    recovering, stored, log
):
    documents = list(run_documents("run"))
    source = Recorded(without(documents, 3, 4), can_wait=False)
    _, counters, _, missing = recovering(source)
    assert log.wait(0, 10)
    (first,) = log.read(0, 10)
    assert first.estimate["run"]["complete"] is False
    assert first.estimate["run"]["progress"] == (POINTS - 2) / POINTS
    wait_until(lambda: missing.count == 1)
    stored(documents)
    wait_until(lambda: results(log) == [("run", False), ("run", True)])
    wait_until(lambda: counters.value("runs_recovered_total") == 1)
    assert missing.count == 0


def test_a_run_that_was_joined_too_late_is_read_from_the_store(
    recovering, stored, log, caplog
):
    documents = list(run_documents("run"))
    source = Recorded(documents[4:], can_wait=False)
    _, counters, _, _ = recovering(source)
    stored(documents)
    wait_until(lambda: results(log) == [("run", True)])
    wait_until(lambda: counters.value("documents_rejected_total", reason="orphan") == 4)
    assert caplog.text.count("documents of run run came without its start") == 1


def test_a_lost_descriptor_costs_the_whole_run_and_is_healed(recovering, stored, log):
    documents = list(run_documents("run"))
    recovering(Recorded(without(documents, 1), can_wait=False))
    wait_until(lambda: results(log) == [("run", False)])
    (first,) = log.read(0, 10)
    assert first.estimate["accounting"]["n_missed"] == POINTS
    stored(documents)
    wait_until(lambda: results(log) == [("run", False), ("run", True)])


def test_without_a_backfill_an_unknown_run_is_said_and_counted(
    pipeline_of, log, caplog
):
    source = Recorded(list(run_documents("run"))[1:], can_wait=False)
    pipeline, counters, _ = pipeline_of(source)
    wait_until(lambda: "it has no result, as no backfill is named" in caplog.text)
    pipeline.show_queues()
    assert counters.value("runs_incomplete") == 1
    assert results(log) == []


def test_a_lost_stop_is_released_and_the_complete_result_follows_from_the_store(
    recovering, stored, log
):
    documents = list(run_documents("run"))
    source = Recorded(documents[:-1], can_wait=False)
    recovering(source, patience=Patience(whole_s=0.1))
    wait_until(lambda: results(log) == [("run", False)])
    stored(documents)
    wait_until(lambda: results(log) == [("run", False), ("run", True)])


def test_a_stop_that_comes_late_completes_a_released_run(pipeline_of, log):
    documents = list(run_documents("run"))
    source = Recorded(documents[:-1], can_wait=False)
    _, counters, _ = pipeline_of(source, patience=Patience(whole_s=0.1))
    wait_until(lambda: results(log) == [("run", False)])
    source.put(documents[-1])
    wait_until(lambda: results(log) == [("run", False), ("run", True)])
    assert counters.value("sweeps_total", outcome="gapped") == 1
    assert counters.value("runs_recovered_total") == 0


def test_a_run_that_is_incomplete_in_the_store_is_read_once(
    recovering, stored, log, caplog
):
    caplog.set_level("INFO")
    documents = without(run_documents("run"), 3)
    stored(documents)
    _, _, _, missing = recovering(Recorded([], can_wait=False))
    wait_until(lambda: results(log) == [("run", False)])
    wait_until(lambda: "incomplete where it is stored, too" in caplog.text)
    time.sleep(1.0)
    assert caplog.text.count("reading it from the store") == 1
    assert missing.count == 1


def test_a_run_stored_before_anyone_heard_of_it_is_found(recovering, stored, log):
    recovering(Recorded([], can_wait=False))
    time.sleep(0.3)
    stored(run_documents("unheard"))
    wait_until(lambda: results(log) == [("unheard", True)])


def test_finite_sources_end_with_a_backfill_after_a_last_look(recovering, stored, log):
    stored(run_documents("stored"))
    source = Recorded(list(run_documents("cut"))[:-1])
    pipeline, counters, _, _ = recovering(source)
    assert pipeline.finished.wait(20)
    assert sorted(results(log)) == [("cut", False), ("stored", True)]
    assert counters.value("runs_recovered_total") == 1


def test_a_store_in_a_long_request_does_not_make_a_stop_a_loss(
    recovering, stored, log, caplog
):
    caplog.set_level("INFO")
    source = Recorded(run_documents("heard"), can_wait=False)
    pipeline, _, deaths, _ = recovering(source)
    assert log.wait(0, 10)
    backfill = pipeline._backfill
    ended = []

    def request(timeout_s):
        time.sleep(3.0)
        ended.append(True)
        raise RuntimeError("the client has been closed")

    backfill.receive = request
    time.sleep(0.5)
    began = time.monotonic()
    assert pipeline.stop(10)
    assert time.monotonic() - began < 2.5
    assert pipeline.finished.is_set()
    assert "is left in a request" in caplog.text
    wait_until(lambda: ended)
    time.sleep(0.1)
    assert not deaths
    assert uids(log) == ["heard"]
