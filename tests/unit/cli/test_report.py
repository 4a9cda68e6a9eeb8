import argparse
import json
import time

import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.cli.moment import moment
from xasnn_stream.results import LOG_NAME, ResultLog


@pytest.fixture
def state(tmp_path, make_estimate):
    log = ResultLog(tmp_path / LOG_NAME)
    log.append(
        [
            make_estimate("a"),
            make_estimate("b", complete=False),
            make_estimate("c", complete=False),
            make_estimate("d", rejected=True),
            make_estimate("b"),
        ],
        [0.05] * 5,
        "cpu",
    )
    log.cursor("feed")
    log.close()
    return str(tmp_path)


def test_the_page_says_what_was_measured_gapped_recovered_rejected(state, capsys):
    assert main(["report", "--state", state]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 results"
    assert lines[1] == "sim-step, pt-l3-xanes aaaaaaaaaaaa"
    assert lines[2].split() == ["verdicts", "3", "ok,", "1", "rejected"]
    assert lines[3].split() == ["reasons", "1", "no_signal"]
    assert "p50 50 ms" in lines[4]
    assert lines[5] == "incomplete  2 sweeps, 1 recovered; 1 void row"
    assert "scan 5 sweep 0  Pt/C  3 rows missing, recovered  b" in lines[6]
    assert "not recovered  c" in lines[7]
    assert lines[8] == "sink feed   5 behind"


def test_json_is_one_line_and_an_interval_is_taken(state, capsys):
    assert main(["report", "--state", state, "--since", "2h", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["results"] == 4
    assert found["since"] == pytest.approx(time.time() - 7200, abs=60)
    assert main(["report", "--state", state, "--since", "2100-01-01"]) == 0
    assert capsys.readouterr().out.startswith("0 results since 2100-01-01 00:00:00")


def test_a_folder_without_a_log_is_one_sentence(tmp_path, capsys):
    assert main(["report", "--state", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_moment_is_epoch_seconds_a_date_or_so_long_ago():
    assert moment("12.5") == 12.5
    assert moment("2026-11-22T00Z") == 1795305600.0
    for text, seconds in (("90s", 90), ("30m", 1800), ("8h", 28800), ("1.5d", 129600)):
        assert moment(text) == pytest.approx(time.time() - seconds, abs=10)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "8 h",
        "h",
        "-2d",
        "2026-13-01",
        "",
        "nan",
        "inf",
        "1e30",
        "99999999d",
    ],
)
def test_anything_else_says_what_a_moment_looks_like(text):
    with pytest.raises(argparse.ArgumentTypeError, match="8h or 2d"):
        moment(text)
