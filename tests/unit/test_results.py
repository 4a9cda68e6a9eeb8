import dataclasses
import errno
import fcntl
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.errors import UsageError
from xasnn_stream.results import ResultLog
from xasnn_stream.results.log import REMEMBERED_S
from xasnn_stream.results.rows import HAS_COMPLETE, NOTE_SWEEP, OUTCOMES
from xasnn_stream.spectrum import RunEnded


@pytest.fixture
def log(tmp_path):
    log = ResultLog(tmp_path / "results.sqlite")
    yield log
    log.close()


def append(log, *estimates):
    return log.append(estimates, [0.01] * len(estimates), "cpu")


def test_a_result_comes_back_as_it_went_in(log, make_estimate):
    estimate = make_estimate()
    log.append([estimate], [0.125], "cuda:0")
    (delivery,) = log.read(0, 10)
    assert delivery.estimate == estimate.document()
    assert (delivery.seq, delivery.prev) == (1, None)
    assert (delivery.latency_s, delivery.device) == (0.125, "cuda:0")
    assert delivery.profile == "sim-step"
    assert delivery.arrays.keys() == estimate.arrays.keys()
    for name, array in estimate.arrays.items():
        np.testing.assert_array_equal(delivery.arrays[name], array)
        assert delivery.arrays[name].dtype == array.dtype


def test_an_id_is_written_once_and_keeps_its_row(log, make_estimate):
    first = append(log, make_estimate("a"), make_estimate("b"))
    again = append(log, make_estimate("b"), make_estimate("c"), make_estimate("c"))
    assert first == [1, 2]
    assert again == [2, 3, 3]
    assert [d.seq for d in log.read(0, 10)] == [1, 2, 3]


def test_a_complete_result_is_not_followed_by_an_incomplete_one(log, make_estimate):
    whole, half = make_estimate("a"), make_estimate("a", complete=False)
    other = make_estimate("a", sweep=1, complete=False)
    assert log.append([whole], [0.0], "cpu") == [1]
    assert log.append([half, other], [0.0, 0.0], "cpu") == [1, 2]
    assert [d.estimate["id"] for d in log.read(0, 10)] == [whole.id, other.id]


def test_a_partial_estimate_is_refused(log, make_estimate):
    with pytest.raises(ValueError, match="partial"):
        append(log, dataclasses.replace(make_estimate(), id=None))
    assert log.newest == 0


def test_prev_is_the_previous_row_of_the_same_profile(log, make_estimate):
    append(log, make_estimate("a"), make_estimate("b", profile="other"))
    append(log, make_estimate("c"))
    append(log, make_estimate("d", profile="other"))
    assert [(d.seq, d.prev) for d in log.read(0, 10)] == [
        (1, None),
        (2, None),
        (3, 1),
        (4, 2),
    ]
    assert [d.seq for d in log.latest(2)] == [4, 3]


def test_prev_survives_trimming_and_a_restart(tmp_path, make_estimate):
    path = tmp_path / "results.sqlite"
    log = ResultLog(path)
    append(log, make_estimate("a"))
    assert log.trim(0) == 1
    log.close()
    log = ResultLog(path)
    assert append(log, make_estimate("b")) == [2]
    assert log.read(0, 10)[0].prev == 1
    log.close()


def test_trimming_removes_the_oldest_but_nothing_undelivered(log, make_estimate):
    append(log, *(make_estimate(f"run-{n}") for n in range(10)))
    assert log.cursor("tiled") == 0
    assert log.trim(0) == 0, "a sink that was served nothing holds everything back"
    log.advance("tiled", 4)
    log.cursor("feed")
    log.advance("feed", 9)
    assert log.trim(0) == 4
    assert [d.seq for d in log.read(0, 20)] == [5, 6, 7, 8, 9, 10]


def test_trimming_stops_once_the_log_is_small_enough(log, make_estimate):
    append(log, make_estimate("one"))
    size = log._bytes
    append(log, *(make_estimate(f"r{n:02d}") for n in range(9)))
    removed = log.trim(5 * size)
    assert removed == 5
    assert log.trim(5 * size) == 0


def test_a_cursor_never_goes_back_and_survives_a_restart(tmp_path, make_estimate):
    path = tmp_path / "results.sqlite"
    log = ResultLog(path)
    append(log, make_estimate("a"), make_estimate("b"))
    assert log.cursor("feed") == 0
    log.advance("feed", 2)
    log.advance("feed", 1)
    log.close()
    log = ResultLog(path)
    assert log.cursor("feed") == 2
    assert log.cursors() == {"feed": 2}
    log.close()


def test_waiting_ends_as_soon_as_a_row_is_written(log, make_estimate):
    assert not log.wait(0, 0.01)
    woken = []

    def follow():
        started = time.monotonic()
        woken.append((log.wait(0, 10.0), time.monotonic() - started))

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.05)
    append(log, make_estimate())
    thread.join(5)
    ((grown, seconds),) = woken
    assert grown
    assert seconds < 5


def ended(sweeps, uid="a"):
    return RunEnded(uid, "sim-quick", "zmq://here", sweeps)


def test_a_run_is_done_once_it_has_ended_and_every_sweep_has_a_complete_result(
    log, make_estimate
):
    assert not log.has_complete("a")
    append(log, make_estimate("a"), make_estimate("a", sweep=1, complete=False))
    log.close_runs([ended(2), ended(1, "b")])
    assert not log.has_complete("a")
    append(log, make_estimate("a", sweep=1))
    assert log.has_complete("a")
    assert not log.has_complete("b"), "it has ended, but has no result"


def test_a_run_that_goes_on_is_not_done_whatever_it_has(log, make_estimate):
    append(log, make_estimate("a"), make_estimate("a", sweep=1))
    assert not log.has_complete("a")
    log.close_runs([ended(2)])
    assert log.has_complete("a")


def test_a_run_of_which_two_sweeps_are_missing_is_not_done(log, make_estimate):
    present = [n for n in range(10) if n not in (3, 7)]
    append(log, *(make_estimate("a", sweep=n) for n in present))
    log.close_runs([ended(10)])
    assert not log.has_complete("a")
    append(log, make_estimate("a", sweep=3))
    append(log, make_estimate("a", sweep=3))
    assert not log.has_complete("a"), "one sweep twice is one sweep"
    append(log, make_estimate("a", sweep=7))
    assert log.has_complete("a")


def test_a_run_without_sweeps_is_done_once_it_has_ended(log):
    log.close_runs([ended(0)])
    assert log.has_complete("a")


def test_of_two_ends_of_a_run_the_last_word_counts(log, make_estimate):
    """Live it seemed to hold two sweeps; the store shows that a third was lost."""
    append(log, make_estimate("a"), make_estimate("a", sweep=1))
    log.close_runs([ended(2)])
    log.close_runs([ended(3)])
    assert not log.has_complete("a")
    append(log, make_estimate("a", sweep=2))
    assert log.has_complete("a")


def test_a_run_stays_done_when_its_rows_are_trimmed_and_after_a_restart(
    tmp_path, make_estimate
):
    path = tmp_path / "results.sqlite"
    log = ResultLog(path)
    append(log, *(make_estimate("a", sweep=n) for n in range(4)))
    log.close_runs([ended(4)])
    assert log.trim(0) == 4
    log.close()
    log = ResultLog(path)
    assert log.has_complete("a")
    log.close()


def test_what_is_known_of_runs_that_were_trimmed_is_forgotten_in_the_end(
    log, make_estimate, monkeypatch
):
    append(log, make_estimate("old"), make_estimate("old", sweep=1))
    log.close_runs([ended(2, "old")])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + REMEMBERED_S + 1)
    append(log, make_estimate("new"))
    log.close_runs([ended(1, "new")])
    assert log.trim(0) == 3
    assert not log.has_complete("old")
    assert log.has_complete("new")
    for table in ("runs", "complete_sweeps"):
        (known,) = log._writer.execute(f"SELECT run_uid FROM {table}")  # noqa: S608
        assert known == ("new",)


def test_asking_for_a_run_or_writing_a_sweep_reads_no_other_sweeps(log):
    """The cost of an estimate must not grow with the sweeps that the run has already."""
    for statement, bound in (
        (HAS_COMPLETE, ["a"]),
        (NOTE_SWEEP, {"run_uid": "a", "sweep": 1}),
        (OUTCOMES, [0.0]),
    ):
        plan = log._writer.execute(f"EXPLAIN QUERY PLAN {statement}", bound).fetchall()
        scans = [step for *_, step in plan if step.startswith("SCAN")]
        # A report reads every row of its time once.
        assert scans == (["SCAN results"] if statement is OUTCOMES else [])
        searches = [step for *_, step in plan if step.startswith("SEARCH whole")]
        assert all("run_uid=? AND <expr>=?" in step for step in searches)


def test_a_log_of_an_older_form_is_read_on(tmp_path, make_estimate):
    """Then ends of runs were not written, and every run held one sweep."""
    path = tmp_path / "results.sqlite"
    log = ResultLog(path)
    append(log, make_estimate("a"), make_estimate("b", complete=False))
    log.close()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            """DROP INDEX results_by_sweep; DROP INDEX runs_by_age;
            DROP TABLE runs; DROP TABLE complete_sweeps;
            ALTER TABLE results DROP COLUMN waited_s;
            CREATE INDEX results_by_run ON results (run_uid, complete);
            PRAGMA user_version = 0;"""
        )
    log = ResultLog(path)
    assert [(d.seq, d.waited_s) for d in log.read(0, 10)] == [(1, 0.0), (2, 0.0)]
    assert (log.has_complete("a"), log.has_complete("b")) == (True, False)
    append(log, make_estimate("b"))
    assert log.has_complete("b")
    log.close()


def test_time_spent_waiting_for_files_is_told_apart(log, make_estimate):
    log.append([make_estimate("a"), make_estimate("b")], [2.5, 0.1], "cpu", [2.0, 0.0])
    deliveries = log.read(0, 10)
    assert [(d.latency_s, d.waited_s) for d in deliveries] == [(2.5, 2.0), (0.1, 0.0)]
    assert deliveries[0].header()["waited_s"] == 2.0


def test_a_second_process_is_told_that_the_log_is_in_use(log):
    with pytest.raises(UsageError, match="in use by another process"):
        ResultLog(log.path)


def test_a_folder_that_cannot_be_made_names_the_option(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/state cannot hold .* --state"):
        ResultLog(tmp_path / "file" / "state" / "results.sqlite")


def test_a_folder_without_locks_is_not_said_to_be_in_use(tmp_path, monkeypatch):
    def without_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without_locks)
    with pytest.raises(UsageError, match=r"No locks available.* --state"):
        ResultLog(tmp_path / "results.sqlite")


def test_a_file_that_is_no_log_is_named_in_the_error(tmp_path):
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(UsageError, match="not a result log"):
        ResultLog(path)


def test_kill_9_while_writing_loses_nothing_that_was_committed(tmp_path):
    path = tmp_path / "results.sqlite"
    conftest = Path(__file__).parents[1] / "conftest.py"
    writer = textwrap.dedent(
        f"""
        import importlib.util, pathlib
        from xasnn_stream.results import ResultLog
        spec = importlib.util.spec_from_file_location("made", {str(conftest)!r})
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        log = ResultLog(pathlib.Path({str(path)!r}))
        n = 0
        while True:
            batch = [made._estimate(f"run-{{n + i}}") for i in range(3)]
            log.append(batch, [0.0] * 3, "cpu")
            n += 3
            print(n, flush=True)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", writer], stdout=subprocess.PIPE, text=True
    )
    with child:
        for _ in range(20):
            committed = int(child.stdout.readline())
        child.kill()
        committed = max([committed, *(int(n) for n in child.stdout.read().split())])
    log = ResultLog(path)
    uids = [d.estimate["run"]["uid"] for d in log.read(0, 10_000)]
    log.close()
    assert committed >= 60
    assert len(uids) >= committed
    assert len(uids) % 3 == 0, "a batch is written whole or not at all"
    assert uids == [f"run-{n}" for n in range(len(uids))]
