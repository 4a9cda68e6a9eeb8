"""The doctor finds what works, and names what does not with its remedy."""

import argparse
import gc
import json
import socket
import threading
import time
from pathlib import Path

import pytest

from xasnn_stream.cli import doctor
from xasnn_stream.results import LOG_NAME, ResultLog

FOIL = Path(__file__).parents[2] / "docs" / "examples" / "foil.dat"


@pytest.fixture
def examined(tmp_path, capsys, free_ports):
    """A function: command-line words to the exit code and the findings by end."""
    feed, http = free_ports(2)
    usual = ("--feed", f"tcp://127.0.0.1:{feed}", "--http", f"127.0.0.1:{http}")

    def examined(*words: str) -> tuple[int, dict[str, dict]]:
        parser = argparse.ArgumentParser()
        doctor.register(parser.add_subparsers())
        state = ("--state", str(tmp_path / "state"), "--timeout", "5", "--json")
        arguments = parser.parse_args(["doctor", *usual, *state, *words])
        code = arguments.run(arguments)
        lines = capsys.readouterr().out.splitlines()
        return code, {f["end"]: f for f in map(json.loads, lines)}

    return examined


@pytest.fixture
def runs(tmp_path):
    """A file of one finished run."""
    start = {"uid": "run", "time": 1.0}
    stop = {"uid": "stop", "run_start": "run", "time": 2.0, "exit_status": "success"}
    path = tmp_path / "runs.jsonl"
    path.write_text(
        "".join(json.dumps(d) + "\n" for d in (["start", start], ["stop", stop]))
    )
    return str(path)


def test_a_command_line_that_would_run_is_found_well(examined, runs, tmp_path):
    code, found = examined(
        "sim-step", "--source", runs, "--backfill", runs, "--reference", str(FOIL),
        "--data-root", str(tmp_path),
    )  # fmt: skip

    assert code == 0, found
    assert [*found] == [
        *("profile", "model", "foil", "source", "backfill", "data root", "state"),
        *("feed", "page"),
    ]
    assert {f["status"] for f in found.values()} == {"OK"}
    assert {f["remedy"] for f in found.values()} == {""}
    assert "313 points" in found["foil"]["text"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("end", "words", "says"),
    [
        ("profile", ("sim-stpe",), "did you mean sim-step?"),
        ("source", ("sim-step",), "the daemon needs one"),
        ("source", ("sim-step", "--source", "none.jsonl"), "No such file"),
        ("source", ("sim-step", "--source", "ftp://a"), "unknown kind of source"),
        ("source", ("sim-step", "--source", "zmq://a"), "needs host and port"),
        ("source", ("sim-step", "--source", "zmq://a:99999"), "needs host and port"),
        ("source", ("sim-step", "--source", "zmq://[::1"), "Invalid IPv6 URL"),
        ("backfill", ("sim-step", "--backfill", "zmq://a:1"), "holds no stored runs"),
        ("results", ("sim-step", "--results", "nowhere"), "is not http://"),
        ("foil", ("sim-step", "--reference", "none.dat"), "none.dat"),
        ("data root", ("sim-step", "--data-root", "/none"), "there is no folder"),
        ("state", ("sim-step", "--state", "/proc/none"), "cannot write to /proc"),
    ],
)
def test_what_is_wrong_is_an_error_with_its_remedy(examined, end, words, says):
    code, found = examined(*words)

    assert code == 1
    assert found[end]["status"] == "ERROR"
    assert says in found[end]["text"]
    assert found[end]["remedy"]


def test_ports_in_use_and_a_log_in_use_are_found(examined, runs, tmp_path):
    log = ResultLog(tmp_path / "state" / LOG_NAME)
    try:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, found = examined(
                "sim-step", "--source", runs,
                "--feed", f"tcp://127.0.0.1:{port}", "--http", f"127.0.0.1:{port}",
            )  # fmt: skip
    finally:
        log.close()

    assert code == 1
    wrong = {end for end, f in found.items() if f["status"] != "OK"}
    assert wrong == {"state", "feed", "page"}


def test_an_address_where_nobody_listens_is_an_error_at_once(examined, free_ports):
    (port,) = free_ports(1)
    began = time.monotonic()

    _, found = examined(
        "sim-step", "--source", f"zmq://127.0.0.1:{port}",
        "--results", f"http://127.0.0.1:{port}",
        "--backfill", f"tiled+http://127.0.0.1:{port}/raw",
    )  # fmt: skip

    for end in ("source", "results", "backfill"):
        assert found[end]["status"] == "ERROR"
        assert "refused" in found[end]["text"]
    assert time.monotonic() - began < 5.0


def test_an_end_that_takes_connections_and_says_nothing_times_out(examined):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        code, found = examined(
            "sim-step", "--source", f"zmq://{address}",
            "--backfill", f"tiled+http://{address}/raw", "--timeout", "0.5",
        )  # fmt: skip

    assert code == 1
    assert found["source"]["status"] == found["backfill"]["status"] == "TIMEOUT"
    assert found["source"]["seconds"] < 2.0
    assert "--source" in found["source"]["remedy"]
    # What was left behind ends when the other side goes away.
    for thread in threading.enumerate():
        if thread.name == "xasnn-doctor":
            thread.join(30.0)
            assert not thread.is_alive()


def test_a_tiled_server_is_reached(examined, tiled_server, monkeypatch):
    monkeypatch.setenv("XASNN_TILED_API_KEY", tiled_server.key)
    address = tiled_server.url

    _, found = examined(
        "sim-step", "--backfill", f"tiled+{address}/", "--results", address
    )

    assert (found["backfill"]["status"], found["results"]["status"]) == ("OK", "OK")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_key_that_a_tiled_server_refuses_is_told(examined, tiled_server, monkeypatch):
    monkeypatch.setenv("XASNN_TILED_API_KEY", "wrong")
    address = tiled_server.url

    code, found = examined(
        "sim-step", "--backfill", f"tiled+{address}/", "--results", address
    )
    gc.collect()  # Tiled's client leaves the connection of a refused key open

    assert code == 1
    assert found["results"]["status"] == found["backfill"]["status"] == "ERROR"
    assert "XASNN_TILED_API_KEY" in found["results"]["text"]


def test_people_get_a_line_per_end_and_the_remedy_below(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    doctor.register(parser.add_subparsers())
    none = ("--feed", "none", "--http", "none", "--state", str(tmp_path))
    arguments = parser.parse_args(["doctor", "sim-step", *none])

    assert arguments.run(arguments) == 1

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["OK", "profile"],
        ["OK", "model"],
        ["ERROR", "source"],
        ["→", "start"],
        ["OK", "state"],
    ]
