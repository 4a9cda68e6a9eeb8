import json
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from xasnn_stream import daemon, replay
from xasnn_stream.assembly.files import Files
from xasnn_stream.sinks import tiled

PREAMBLE = """
import sys, time
from xasnn_stream import daemon
from xasnn_stream.cli.main import main

class Engine:
    model_name, model_sha256, device = "none", "0" * 64, "cpu"
    descriptors = ()
    def warm_up(self):
        raise RuntimeError("the device is gone")
    estimate = lambda self, spectra: self.warm_up()

"""


@pytest.fixture
def start():
    """A function that starts a daemon with a made-up engine in its own process."""
    running = []

    def started(loader, *arguments):
        script = PREAMBLE + textwrap.dedent(loader) + "sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", script, "run", "sim-step", "--feed", "none"]
        process = subprocess.Popen(
            [*command, *arguments], stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield started
    for process in running:
        process.kill()
        process.communicate(timeout=10)


def test_an_engine_that_fails_ends_the_process_with_the_reason(start, tmp_path):
    run = [
        ["start", {"uid": "a", "time": 1.0, "plan_name": "xas_step_scan"}],
        ["stop", {"uid": "s", "run_start": "a", "num_events": {}}],
    ]
    documents = tmp_path / "documents.jsonl"
    documents.write_text("\n".join(json.dumps(line) for line in run))
    process = start(
        'daemon.load_engines = lambda *_: {"sim-step": Engine()}\n',
        *("--source", str(documents), "--http", "none", "--state", str(tmp_path)),
    )
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the device is gone" in errors
    assert "the daemon ends because thread xasnn-engine died" in errors


def test_not_ready_says_why_until_the_model_is_loaded_and_the_source_connected(
    start, tmp_path, free_ports
):
    port, nobody = free_ports(2)
    process = start(
        """
        def slowly(*_):
            while not __import__("os").path.exists(sys.argv[-1] + "/loaded"):
                time.sleep(0.02)
            return {"sim-step": Engine()}
        daemon.load_engines = slowly
        """,
        *("--source", f"zmq://127.0.0.1:{nobody}", "--http", f"127.0.0.1:{port}"),
        *("--state", str(tmp_path)),
    )

    def reasons():
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).close()
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode().strip()
        except OSError:
            return None
        return ""

    def wait_for(text):
        deadline = time.monotonic() + 30
        while (found := reasons()) != text:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    wait_for("the model is being loaded")
    (tmp_path / "loaded").touch()
    wait_for(f"zmq://127.0.0.1:{nobody} is not connected")
    process.terminate()
    assert process.wait(20) == 0


def test_a_second_daemon_with_the_same_state_is_refused(start, tmp_path, free_ports):
    (port,) = free_ports(1)
    arguments = ("--source", f"zmq://127.0.0.1:{port}", "--http", "none")
    loader = 'daemon.load_engines = lambda *_: {"sim-step": Engine()}\n'
    first = start(loader, *arguments, "--state", str(tmp_path))
    while "reading zmq" not in first.stderr.readline():
        assert first.poll() is None
    second = start(loader, *arguments, "--state", str(tmp_path))
    _, errors = second.communicate(timeout=30)
    assert second.returncode == 2
    assert "in use by another process" in errors
    first.terminate()
    assert first.wait(20) == 0


@pytest.mark.parametrize("store", ["nonsense://x", "zmq://127.0.0.1:5568"])
def test_a_backfill_that_holds_no_runs_is_refused_at_start(start, tmp_path, store):
    process = start(
        "",
        *("--source", "zmq://127.0.0.1:5568", "--backfill", store),
        *("--http", "none", "--state", str(tmp_path)),
    )
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"'{store}' holds no stored runs" in errors


def test_documents_lost_in_stopping_are_said_and_are_a_failure(start, tmp_path):
    run = [
        ["start", {"uid": "a", "time": 1.0, "plan_name": "xas_step_scan"}],
        ["stop", {"uid": "s", "run_start": "a", "num_events": {}}],
    ]
    documents = tmp_path / "documents.jsonl"
    documents.write_text("\n".join(json.dumps(line) for line in run))
    process = start(
        """
        class Slow(Engine):
            def estimate(self, spectra):
                print("busy", file=sys.stderr, flush=True)
                time.sleep(60)
        daemon.DRAIN_S = 0.2
        daemon.load_engines = lambda *_: {"sim-step": Slow()}
        """,
        *("--source", str(documents), "--http", "none", "--state", str(tmp_path)),
    )
    while "busy" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "not brought into the log" in errors
    assert "not all documents received have a result" in errors


def test_a_request_of_a_sink_ends_before_its_thread_is_given_up():
    assert tiled.TIMEOUT_S < daemon.JOIN_S
    assert tiled.TIMEOUT_S < replay.STOP_S


def test_a_scrape_sees_what_waits_even_while_nothing_moves(tmp_path, monkeypatch):
    with ExitStack() as stack:
        served = daemon.Daemon(deployment(tmp_path), stack, lambda *_: None)
        follower, pipeline = Mock(), Mock()
        monkeypatch.setattr(served, "_followers", [follower])
        monkeypatch.setattr(served, "_pipeline", pipeline)
        served._refresh()
    follower.show_pending.assert_called_once_with()
    pipeline.show_queues.assert_called_once_with()


@pytest.mark.parametrize("roots", [(), (Path("/data"),)])
def test_what_growing_files_need_is_there_before_documents_are(
    tmp_path, monkeypatch, roots
):
    happened = Mock()
    engine = Mock(model_sha256="0" * 64, descriptors=())
    monkeypatch.setattr(daemon, "load_engines", lambda *_: {"sim-step": engine})
    for name in ("prepare_growing_files", "Pipeline"):
        monkeypatch.setattr(daemon, name, getattr(happened, name))
    with ExitStack() as stack:
        changed = replace(deployment(tmp_path), files=Files(roots))
        daemon.Daemon(changed, stack, lambda *_: None).start()

    called = [name for name, _, _ in happened.mock_calls if "." not in name]
    assert called == [*["prepare_growing_files"] * len(roots), "Pipeline"]


def deployment(state):
    return daemon.Deployment(
        profiles=["sim-step"],
        overrides={},
        sources=["zmq://127.0.0.1:5568"],
        feed=None,
        http=None,
        results=None,
        backfill=None,
        reference=None,
        state=state,
    )
