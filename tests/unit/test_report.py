import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.errors import UsageError
from xasnn_stream.report import report
from xasnn_stream.results import LOG_NAME, ResultLog


@pytest.fixture
def log(tmp_path):
    log = ResultLog(tmp_path / LOG_NAME)
    yield log
    log.close()


def test_every_result_is_counted_once_by_verdict_and_reason(
    tmp_path, log, make_estimate
):
    log.append(
        [
            make_estimate("a"),
            make_estimate("b"),
            make_estimate("c", rejected=True),
            make_estimate("d", profile="other", model="pd-k"),
        ],
        [0.1, 0.2, 0.3, 0.4],
        "cpu",
    )

    found = report(tmp_path, None).document()

    assert found["results"] == 4
    assert found["verdicts"] == {"ok": 3, "rejected": 1}
    assert found["reasons"] == {"no_signal": 1}
    assert [(m["profile"], m["model"], m["results"]) for m in found["models"]] == [
        ("sim-step", "pt-l3-xanes", 3),
        ("other", "pd-k", 1),
    ]
    assert found["incomplete"] == []
    assert found["latency_s"] == {"p50": 0.3, "p95": 0.4}


def test_points_left_out_are_counted(tmp_path, log, make_estimate, capsys):
    plain = make_estimate("a")
    spoilt = [
        replace(make_estimate(uid), quality=replace(plain.quality, n_masked=count))
        for uid, count in (("b", 1), ("c", 3))
    ]
    log.append([replace(plain, quality=replace(plain.quality, n_masked=0))], [0.1], "")
    assert main(["report", "--state", str(tmp_path)]) == 0
    assert "left out" not in capsys.readouterr().out
    log.append(spoilt, [0.1, 0.1], "cpu")
    (model,) = report(tmp_path, None).document()["models"]
    assert model["masked"] == {"results": 2, "points": 4}
    assert main(["report", "--state", str(tmp_path)]) == 0
    assert "  left out  4 points of 2 results\n" in capsys.readouterr().out


def test_a_gapped_sweep_is_recovered_once_the_complete_one_is_there(
    tmp_path, log, make_estimate
):
    for uid in ("lost", "found"):
        log.append([make_estimate(uid, complete=False)], [0.1], "cpu")
    # Another sweep of the same run proves nothing.
    log.append([make_estimate("lost", sweep=1)], [0.1], "cpu")
    before = report(tmp_path, None)
    assert [gapped.recovered for gapped in before.gapped] == [False, False]
    assert before.document()["results"] == 3

    log.append([make_estimate("found")], [0.5], "cpu")

    after = report(tmp_path, None).document()
    assert {g["uid"]: g["recovered"] for g in after["incomplete"]} == {
        "lost": False,
        "found": True,
    }
    assert {g["n_missed"] for g in after["incomplete"]} == {3}
    assert after["incomplete"][0]["scan_id"] == 5
    assert after["void"] == 1
    assert after["results"] == 3, "the void row is no result"


@pytest.mark.parametrize(
    "other", ["profile_sha256", "model_sha256", "reference_sha256"]
)
def test_a_complete_result_made_with_something_else_recovers_nothing(
    tmp_path, log, make_estimate, other
):
    log.append([make_estimate("a", complete=False)], [0.1], "cpu")
    whole = make_estimate("a")
    made_with = replace(whole.provenance, **{other: "f" * 64})
    log.append([replace(whole, provenance=made_with)], [0.1], "cpu")

    found = report(tmp_path, None)

    assert [gapped.recovered for gapped in found.gapped] == [False]
    assert found.void == 0


def test_since_leaves_out_what_was_before(tmp_path, log, make_estimate):
    log.append([make_estimate("early")], [0.1], "cpu")
    time.sleep(0.02)
    between = time.time()
    log.append([make_estimate("late", rejected=True)], [0.1], "cpu")

    assert report(tmp_path, between).document()["verdicts"] == {"rejected": 1}
    nothing = report(tmp_path, time.time() + 1).document()
    assert (nothing["results"], nothing["latency_s"]) == (0, None)


def test_a_sink_that_is_behind_shows(tmp_path, log, make_estimate):
    log.append([make_estimate(uid) for uid in "abc"], [0.1] * 3, "cpu")
    log.cursor("feed")
    log.cursor("tiled")
    log.advance("feed", 3)
    log.advance("tiled", 1)

    assert report(tmp_path, None).pending == {"feed": 0, "tiled": 2}


def test_the_log_is_read_by_another_process_while_it_is_written(
    tmp_path, log, make_estimate
):
    log.append([make_estimate("a")], [0.1], "cpu")
    command = [sys.executable, "-m", "xasnn_stream", "report", "--json"]
    done = subprocess.run(
        [*command, "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"results": 1' in done.stdout
    log.append([make_estimate("b")], [0.1], "cpu")
    assert report(tmp_path, None).document()["results"] == 2


def test_a_log_whose_daemon_ended_is_read_and_not_changed(tmp_path, make_estimate):
    log = ResultLog(tmp_path / LOG_NAME)
    log.append([make_estimate("a")], [0.1], "cpu")
    log.close()
    before = (tmp_path / LOG_NAME).read_bytes()

    assert report(tmp_path, None).document()["results"] == 1

    assert (tmp_path / LOG_NAME).read_bytes() == before


def test_a_folder_without_a_log_is_named_and_stays_empty(tmp_path):
    with pytest.raises(UsageError, match=r"no result log in .* --state"):
        report(tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_log_is_refused(tmp_path):
    (tmp_path / LOG_NAME).write_text("not a database, however one looks at it")
    with pytest.raises(UsageError, match="cannot be read as a result log"):
        report(tmp_path, None)
    (tmp_path / LOG_NAME).unlink()
    sqlite3.connect(tmp_path / LOG_NAME).close()
    (tmp_path / LOG_NAME).touch()
    with pytest.raises(UsageError, match="no such table"):
        report(tmp_path, None)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"provenance": {}}'])
def test_rows_of_something_else_are_one_sentence(tmp_path, log, make_estimate, text):
    log.append([make_estimate("a")], [0.1], "cpu")
    log.close()
    with closing(sqlite3.connect(tmp_path / LOG_NAME)) as other:
        other.execute("UPDATE results SET estimate = ?", (text,))
        other.commit()
    with pytest.raises(UsageError, match="cannot be read as a result log"):
        report(tmp_path, None)
