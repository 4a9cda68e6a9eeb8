import json
import time
from functools import partial

import pytest

from xasnn_stream.errors import SourceError
from xasnn_stream.profile import load_profile
from xasnn_stream.recovery import backfill as module
from xasnn_stream.recovery.backfill import Backfill
from xasnn_stream.recovery.missing import Missing
from xasnn_stream.results import ResultLog
from xasnn_stream.sources.open import open_store
from xasnn_stream.sources.store import StoredRun, UnreadableRunError
from xasnn_stream.spectrum import RunEnded
from xasnn_stream.telemetry.counters import Counters

PLAN = "xas_step_scan"


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


class Store:
    """Runs by uid; `failing` says which cannot be read, and why."""

    def __init__(self):
        self.runs = {}
        self.failing = {}
        self.away = False
        self.asked = []
        self.closed = 0

    def add(self, *uids, plan=PLAN, started=None):
        for uid in uids:
            started = time.time() if started is None else started
            self.runs[uid] = {"uid": uid, "time": started, "plan_name": plan}

    def finished_runs(self, since=None):
        self.asked.append(since)
        self._answer()
        for uid, start in list(self.runs.items()):
            if start["time"] >= since:
                yield self.finished_run(uid)

    def finished_run(self, uid):
        self._answer()
        start = self.runs.get(uid)
        return start and StoredRun(start, partial(self._documents, uid))

    def close(self):
        self.closed += 1

    def _answer(self):
        if self.away:
            raise SourceError("the store is away")

    def _documents(self, uid):
        if uid in self.failing:
            raise self.failing[uid]
        return [("start", self.runs[uid]), ("stop", {"uid": "s", "run_start": uid})]


@pytest.fixture
def log(tmp_path):
    log = ResultLog(tmp_path / "results.sqlite")
    yield log
    log.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def missing(clock):
    return Missing(clock)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def backfill(store, log, missing, counters):
    settings = [load_profile("sim-step").assembly]
    backfill = Backfill("a store", lambda: store, settings, log, missing, counters)
    yield backfill
    backfill.close()


def starts(backfill):
    """The runs a backfill gives until it has nothing to do."""
    found, idle = [], 0
    while idle < 4:
        document = backfill.receive(0.001)
        idle = 0 if document else idle + 1
        if document is not None and document.name == "start":
            found.append(document.doc["uid"])
    return found


def test_only_runs_of_a_profile_without_a_complete_result_are_read(
    backfill, store, log, make_estimate
):
    store.add("done", "gapped", "never")
    store.add("other", plan="count")
    store.add("old", started=time.time() - 30 * 24 * 3600)
    log.append(
        [make_estimate("done"), make_estimate("gapped", complete=False)], [0, 0], ""
    )
    log.close_runs([RunEnded(uid, "sim-step", "a", 1) for uid in ("done", "gapped")])
    assert starts(backfill) == ["gapped", "never"]


def test_a_run_is_read_once_while_its_result_is_on_the_way(backfill, store, clock):
    store.add("a")
    assert starts(backfill) == ["a"]
    for _ in range(5):
        clock.now_s += 60.0
        assert starts(backfill) == []


def test_later_looks_go_back_by_the_longest_run_only(backfill, store, clock):
    starts(backfill)
    clock.now_s += 60.0
    store.add("new")
    assert starts(backfill) == ["new"]
    first, second = store.asked
    assert time.time() - first == pytest.approx(module.LOOK_BACK_S, abs=60)
    assert time.time() - second == pytest.approx(module.LONGEST_RUN_S, abs=60)


def test_a_lost_run_is_read_as_soon_as_its_stop_is_stored(
    backfill, store, missing, clock
):
    starts(backfill)
    missing.incomplete("late")
    clock.now_s += 1.0
    assert starts(backfill) == []
    store.add("late")
    clock.now_s += 1.0
    assert starts(backfill) == ["late"]
    assert len(store.asked) == 1, "the whole store was looked at for one run"


def test_a_lost_run_of_no_profile_is_forgotten(backfill, store, missing, clock):
    starts(backfill)
    store.add("other", plan="count")
    missing.unknown("other")
    clock.now_s += 1.0
    assert starts(backfill) == []
    assert missing.count == 0


def test_a_run_that_is_being_heard_is_left_to_its_live_source_for_a_while(
    backfill, store, missing, clock
):
    store.add("live", "cut off")
    missing.heard("live")
    missing.heard("cut off")
    assert starts(backfill) == []
    clock.now_s += 6.0
    missing.complete("live")
    assert starts(backfill) == []
    clock.now_s += 6.0
    assert starts(backfill) == ["cut off"]


def test_a_run_that_cannot_be_read_holds_up_no_other_and_is_tried_later(
    backfill, store, clock, missing, caplog
):
    store.add("bad", "good")
    store.failing["bad"] = SourceError("500 Internal Server Error")
    assert starts(backfill) == ["good"]
    assert "run bad cannot be recovered yet: 500" in caplog.text
    clock.now_s += 1.0
    del store.failing["bad"]
    assert starts(backfill) == ["bad"]


def test_a_lost_run_the_store_fails_to_find_holds_up_no_other(
    backfill, store, missing, clock
):
    starts(backfill)
    find = store.finished_run

    def fail_for_one(uid):
        if uid == "cursed":
            raise SourceError("414 URI Too Long")
        return find(uid)

    store.finished_run = fail_for_one
    store.add("fine")
    missing.unknown("cursed")
    missing.unknown("fine")
    clock.now_s += 1.0
    assert starts(backfill) == ["fine"]
    assert store.closed == 0


def test_an_unreadable_run_is_counted_and_never_read_again(
    backfill, store, clock, missing, counters
):
    store.add("bad", "good")
    store.failing["bad"] = UnreadableRunError("no documents")
    assert starts(backfill) == ["good"]
    assert counters.value("documents_rejected_total", reason="body") == 1
    del store.failing["bad"]
    for _ in range(5):
        clock.now_s += 60.0
        assert starts(backfill) == []
    assert missing.count == 2


def test_a_store_that_fails_run_after_run_is_left_in_peace_for_a_while(
    backfill, store, monkeypatch, caplog
):
    monkeypatch.setattr(module, "FIRST_DELAY_S", 0.05)
    backfill._pause_s = 0.05
    store.add("a", "b", "c", "d")
    store.failing = dict.fromkeys("abcd", SourceError("503"))
    assert starts(backfill) == []
    assert "recovery goes on in" in caplog.text
    assert store.closed == 1
    assert not backfill.connected


def test_a_store_that_is_not_there_yet_is_tried_again(backfill, store, clock, caplog):
    backfill._pause_s = 0.01
    store.away = True
    store.add("a")
    assert starts(backfill) == []
    assert "the store is away; recovery goes on" in caplog.text
    assert not backfill.exhausted
    store.away = False
    clock.now_s += 2.0
    time.sleep(0.1)
    assert starts(backfill) == ["a"]


def test_it_ends_after_a_last_look_once_nothing_is_heard(
    backfill, store, missing, clock
):
    starts(backfill)
    store.add("last")
    missing.heard("on its way")
    missing.incomplete("nowhere")
    backfill.finish()
    assert starts(backfill) == []
    assert not backfill.exhausted
    missing.complete("on its way")
    assert starts(backfill) == ["last"]
    assert backfill.exhausted


def test_it_ends_although_its_store_is_away(backfill, store):
    store.away = True
    starts(backfill)
    backfill.finish()
    assert starts(backfill) == []
    assert backfill.exhausted


def test_a_file_that_is_still_written_gives_the_runs_that_are_over(
    tmp_path, log, missing, counters, clock
):
    path = tmp_path / "stored.jsonl"
    start = {"uid": "a", "time": time.time(), "plan_name": PLAN}
    first = json.dumps(["start", start]) + "\n"
    stop = json.dumps(["stop", {"uid": "s", "run_start": "a"}])
    path.write_text(first + stop)
    settings = [load_profile("sim-step").assembly]
    opened = partial(open_store, str(path))
    backfill = Backfill(str(path), opened, settings, log, missing, counters)
    assert starts(backfill) == []
    path.write_text(first + stop + "\n")
    clock.now_s += 60.0
    assert starts(backfill) == ["a"]
    assert counters.value("documents_rejected_total") == 0
    backfill.close()
