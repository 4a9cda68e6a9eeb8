"""What the base installation promises, in an environment that has nothing else.

A real virtual environment whose packages are links to the installed numpy, pyzmq and
msgspec, and to this checkout.
"""

import importlib.metadata
import json
import os
import signal
import subprocess
import time
import venv
from pathlib import Path

import pytest

import xasnn_stream
from xasnn_stream.results import LOG_NAME, ResultLog
from xasnn_stream.sinks.feed import FeedSink
from xasnn_stream.sources.codec import encode_line

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

BASE = ("numpy", "pyzmq", "msgspec")
ABSENT = (
    "torch",
    "safetensors",
    "tiled",
    "pydantic",
    "yaml",
    "starlette",
    "httpx",
    "bluesky",
    "event_model",
    "msgpack",
    "pandas",
    "matplotlib",
)
WAIT_S = 30.0


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of an environment with the base dependencies only."""
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    for name in BASE:
        distribution = importlib.metadata.distribution(name)
        for entry in {file.parts[0] for file in distribution.files or ()} - {".."}:
            if entry != "__pycache__":
                (site / entry).symlink_to(Path(str(distribution.locate_file(entry))))
    checkout = Path(xasnn_stream.__file__).parents[1]
    (site / "checkout.pth").write_text(f"{checkout}\n")
    return python


def run(python, *command, **options):
    """Run a command there, with a clean environment."""
    return subprocess.run(
        [str(python), *command],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env={"PATH": os.environ["PATH"]},
        **options,
    )


def test_there_is_nothing_else_in_that_environment(python):
    look = (
        "import sys; from importlib.util import find_spec\n"
        "print(*[name for name in sys.argv[1:] if find_spec(name)])"
    )
    found = run(python, "-c", look, *ABSENT, "numpy", "zmq", "msgspec").stdout
    assert found.split() == ["numpy", "zmq", "msgspec"]


def test_the_client_is_imported_and_the_help_is_shown(python):
    imported = run(python, "-W", "error", "-c", "import xasnn_stream.client")
    assert (imported.returncode, imported.stderr) == (0, "")
    shown = run(python, "-m", "xasnn_stream", "--help")
    assert shown.returncode == 0
    for command in ("watch", "record", "report", "models"):
        assert command in shown.stdout


def test_a_feed_is_watched(python, tmp_path, make_estimate):
    log = ResultLog(tmp_path / LOG_NAME)
    log.append([make_estimate("a"), make_estimate("b")], [0.01, 0.02], "cpu")
    sink = FeedSink("tcp://127.0.0.1:*")
    notes = tmp_path / "notes"
    with (
        notes.open("w") as stderr,
        subprocess.Popen(
            [str(python), "-m", "xasnn_stream", "watch", sink.address, "--json"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + WAIT_S
            while "watching" not in notes.read_text():
                assert time.monotonic() < deadline, notes.read_text()
                sink.idle()
                time.sleep(0.01)
            sink.deliver(log.read(0, 10))
            assert process.stdout is not None
            seen = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.send_signal(signal.SIGINT)
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()
            sink.close()
            log.close()
    assert [delivery["estimate"]["run"]["uid"] for delivery in seen] == ["a", "b"]


def test_a_log_is_reported_and_models_are_listed(python, tmp_path, make_estimate):
    log = ResultLog(tmp_path / LOG_NAME)
    log.append([make_estimate("a")], [0.01], "cpu")
    log.close()

    reported = run(python, "-m", "xasnn_stream", "report", "--state", str(tmp_path))
    listed = run(python, "-m", "xasnn_stream", "models", "list")
    verified = run(python, "-m", "xasnn_stream", "models", "verify")

    assert reported.stdout.startswith("1 result\n"), reported.stderr
    assert "\npt-l3-xanes  Pt L3" in listed.stdout, listed.stderr
    assert verified.returncode == 0, verified.stderr


def test_documents_are_recorded(python):
    line = encode_line("start", {"uid": "a", "it": float("nan")}).decode()
    done = run(python, "-m", "xasnn_stream", "record", "-", "-", input=line)
    assert (done.returncode, done.stdout) == (0, line), done.stderr


def test_what_needs_more_names_the_extra(python):
    done = run(python, "-m", "xasnn_stream", "check", "sim-step")
    assert done.returncode == 1
    assert 'pip install "xasnn-stream[daemon]"' in done.stderr
    assert "Traceback" not in done.stderr
