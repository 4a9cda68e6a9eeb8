import json
import time

import pytest

from xasnn_stream import recovery
from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.pipeline import Pipeline
from xasnn_stream.profile import load_profile
from xasnn_stream.recovery import Backfill
from xasnn_stream.results import ResultLog
from xasnn_stream.telemetry.counters import Counters


@pytest.fixture
def log(tmp_path):
    log = ResultLog(tmp_path / "results.sqlite")
    yield log
    log.close()


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def backfill(tmp_path, log, counters):
    settings = [load_profile("sim-step").assembly]
    backfill = Backfill(str(tmp_path / "stored.jsonl"), settings, log, counters)
    yield backfill
    backfill.close()


def store(tmp_path, *runs):
    lines = [
        json.dumps([name, doc])
        for uid, plan, started in runs
        for name, doc in (
            ("start", {"uid": uid, "time": started, "plan_name": plan}),
            ("stop", {"uid": f"{uid}-s", "run_start": uid}),
        )
    ]
    (tmp_path / "stored.jsonl").write_text("\n".join(lines) + "\n")


def uids(backfill):
    found = []
    deadline = time.monotonic() + 5
    while not backfill.exhausted and time.monotonic() < deadline:
        document = backfill.receive(0.01)
        if document is not None and document.name == "start":
            found.append(document.doc["uid"])
    return found


def test_only_runs_of_a_profile_without_a_complete_result_are_read(
    tmp_path, backfill, log, counters, make_estimate
):
    now, plan = time.time(), "xas_step_scan"
    store(
        tmp_path,
        ("done", plan, now),
        ("gapped", plan, now),
        ("never", plan, now),
        ("other", "count", now),
        ("old", plan, now - 30 * 24 * 3600),
    )
    log.append(
        [make_estimate("done"), make_estimate("gapped", complete=False)], [0, 0], ""
    )
    assert uids(backfill) == ["gapped", "never"]
    assert counters.value("runs_recovered_total") == 2


def test_a_store_that_is_not_there_yet_is_tried_again(
    tmp_path, backfill, monkeypatch, caplog
):
    monkeypatch.setattr(recovery, "RETRY_S", 0.05)
    assert backfill.receive(0.01) is None
    assert not backfill.exhausted
    assert "recovery goes on" in caplog.text
    store(tmp_path, ("late", "xas_step_scan", time.time()))
    assert uids(backfill) == ["late"]


def test_a_run_still_being_stored_is_left_to_the_next_start(
    tmp_path, backfill, log, counters, make_estimate
):
    store(tmp_path, ("open", "xas_step_scan", time.time()))
    start, _ = (tmp_path / "stored.jsonl").read_text().splitlines()
    (tmp_path / "stored.jsonl").write_text(start + "\n")
    assembler = Assembler([load_profile("sim-step").assembly], counters)
    pipeline = Pipeline([backfill], assembler, {}, log, counters, lambda *_: None)
    pipeline.start()
    assert pipeline.finished.wait(10)
    assert pipeline.stop(5)
    assert counters.value("runs_recovered_total") == 1
    assert counters.value("runs_forgotten_total") == 1
    assert log.newest == 0
