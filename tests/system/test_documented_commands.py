"""The commands of the documentation's pages, run in their order as somebody types them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from xasnn_stream import client
from xasnn_stream.handover import HandOver
from xasnn_stream.shipped import model_folder, shipped_folder
from xasnn_stream.simulation.processes import listens

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)
URL = re.compile(r"`(http://127\.0\.0\.1:8765/\S*)`")
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")
DEFAULTS = " --feed tcp://127.0.0.1:5578 --http 127.0.0.1:8765"
STAYS = ("leave it running", "until Ctrl-C")
NOT_HERE = {"make demo": "installs first; the demo is run by tests/system/test_demo.py"}
PATIENCE_S = 60.0


@dataclass
class Running:
    """A command left running in a terminal of its own."""

    process: subprocess.Popen
    output: Path

    def wait_for(self, text: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while text not in (said := self.output.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, f"no {text!r} in: {said}"
            time.sleep(0.05)
        return said

    def end(self, number: int = signal.SIGINT) -> str:
        os.killpg(self.process.pid, number)
        code = self.process.wait(30)
        assert code in (0, -number), self.output.read_text()
        return self.output.read_text()


class Desk:
    """A folder like a checkout, with terminals; addresses are replaced by free ones."""

    def __init__(self, folder, ports, key=""):
        self.folder, self._ports, self._key = folder, ports, key
        self.running: dict[str, Running] = {}
        (folder / ".venv").symlink_to(sys.prefix)
        for name in ("models", "profiles", "docs"):
            (folder / name).symlink_to(ROOT / name)

    def type(self, command: str) -> str | None:
        """Run a command to its end and return what it printed, or leave it running."""
        command, _, stays = command.partition(" # ")
        # Somebody else may have the addresses a daemon takes by itself.
        serves = any(f" {name} " in command for name in ("run", "doctor"))
        words = self.here(command + DEFAULTS * serves)
        if stays in STAYS:
            name = next(w for w in words.split() if "=" not in w).rpartition("/")[2]
            if name == "xasnn-stream":
                name = words.partition("xasnn-stream ")[2].split()[0]
            self.leave(name, ["sh", "-c", f"exec env {words}"])
            return None
        done = subprocess.run(
            ["sh", "-c", words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def leave(self, name: str, words: list[str]) -> None:
        output = self.folder / f"{name}.output"
        with output.open("w") as file:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                stdout=file,
                stderr=file,
                # Not the terminal's group, so that a Ctrl-C reaches one alone.
                start_new_session=True,
            )
        self.running[name] = Running(process, output)

    def here(self, text: str) -> str:
        """Return a text of a page with the addresses and the key of this test."""
        text = ADDRESS.sub(lambda a: f"127.0.0.1:{self._ports[int(a[1])]}", text)
        return text.replace("API_KEY=…", f"API_KEY={self._key}")

    def close(self) -> None:
        for running in reversed(self.running.values()):
            if running.process.poll() is None:
                running.process.terminate()
                try:
                    running.process.wait(20)
                except subprocess.TimeoutExpired:
                    running.process.kill()
                    running.process.wait()


def steps(page):
    """The commands and Python examples of a page in their order, as (kind, text)."""
    for kind, block in BLOCK.findall((ROOT / page).read_text()):
        if kind == "python":
            yield kind, block
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ ") and line[2:] not in NOT_HERE:
                yield kind, line[2:]


def publish_one_run(startup):
    """Do what a RunEngine does that has run a startup file's lines."""

    class Engine:
        def subscribe(self, publisher):
            self.publisher = publisher

    engine = Engine()
    exec(startup, {"RE": engine})  # noqa: S102 - it is our own page
    publisher = engine.publisher
    if not isinstance(publisher, HandOver):
        time.sleep(0.5)  # a 0MQ publisher cannot say when it is heard
    publisher("start", {"uid": "a", "time": 1.0, "plan_name": "count"})
    publisher("stop", {"uid": "b", "run_start": "a", "time": 2.0})
    if isinstance(publisher, HandOver):
        publisher.close()
    else:
        publisher._socket.close(linger=1000)
        publisher._context.term()


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answer(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as got:
            return got.read().decode()
    except OSError:
        return ""


@pytest.fixture
def desk(tmp_path, tiled_server, free_ports):
    if not (model_folder("pt-l3-xanes") / "manifest.json").exists():
        pytest.skip("the model pt-l3-xanes is not trained in this checkout")
    library = shipped_folder("models") / "libraries" / "Pt_L3.npz"
    if not library.exists():
        pytest.skip(f"{library.name} is not in this checkout")
    ports = dict(zip((5567, 5568, 5570, 5578, 8765), free_ports(5), strict=True))
    ports[8000] = int(tiled_server.url.rpartition(":")[2])
    desk = Desk(tmp_path, ports, tiled_server.key)
    yield desk
    desk.close()


def test_the_first_hour_at_a_beamline_goes_as_its_page_says(desk, tiled_server):
    page = "docs/first-hour-at-a-beamline.md"
    said = {}
    for kind, step in steps(page):
        if kind == "python" and "RE.subscribe" in step:
            publish_one_run(desk.here(step))
        elif kind == "python":
            desk.leave("program", [sys.executable, "-c", desk.here(step)])
        else:
            said[step] = desk.type(step)
        after(step, desk)

    replayed = next(out for step, out in said.items() if " replay " in step)
    assert len(replayed.splitlines()) == 4
    assert re.search(r"\d  Pt foil +ok +cn1 1[12]\.\d ", replayed)
    assert re.search(r"\d  hemi111_13 +ok +cn1 5\.\d ", replayed)
    doctor = next(out for step, out in said.items() if " doctor " in step)
    assert {line.split()[0] for line in doctor.splitlines()} == {"OK"}
    report = next(out for step, out in said.items() if " report " in step)
    assert report.startswith("4 results since ")
    assert "sink feed   up to date" in report
    assert "sink tiled  up to date" in report
    recorded = (desk.folder / "documents.jsonl").read_text().splitlines()
    starts = [doc for name, doc in map(json.loads, recorded) if name == "start"]
    (foil,) = [doc["uid"] for doc in starts if doc.get("sample") == "Pt foil"]
    (stored,) = client.results(foil, tiled_server.url, tiled_server.key)
    assert stored["provenance"]["profile"] == "sim-step"
    for url in URL.findall((ROOT / page).read_text()):
        assert answer(desk.here(url)), url


def after(step, desk):
    """Wait, after a step, for what somebody would wait for before the next one."""
    running = desk.running
    if "0MQ-proxy" in step:
        ports = ADDRESS.findall(desk.here(step))
        wait_until(lambda: all(listens(int(port)) for port in ports))
    elif " record " in step:
        running["record"].wait_for("recording")
    elif "HandOver" in step:
        handed_over = desk.folder / "handed-over.jsonl"
        wait_until(lambda: '["stop", ' in handed_over.read_text())
        assert "1 start, 1 stop; rejected: 0" in running.pop("record").end()
    elif "xasnn_stream.simulation" in step and "record" in running:
        recorded = desk.folder / "documents.jsonl"
        wait_until(lambda: recorded.read_text().count('["stop", ') == 4)
        said = running.pop("record").end()
        # The foil and two sweeps of the simulation, and the run of the startup file.
        assert "recorded 4 runs; " in said
        assert {"4 start", "3 descriptor", "939 event", "4 stop"} <= set(
            re.findall(r"\d+ [a-z]+", said)
        )
        assert said.endswith("rejected: 0\n")
    elif " run " in step:
        ready = desk.here("http://127.0.0.1:8765/readyz")
        wait_until(lambda: answer(ready) == "ready\n")
    elif " watch " in step:
        running["watch"].wait_for("watching")
    elif "xasnn_stream.simulation" in step:
        watched = running.pop("watch")
        watched.wait_for("hemi111_13")
        assert "hemi111_13               ok " in watched.end()
        running["program"].wait_for("hemi111_13 ok {'value': ")
        wait_until(lambda: delivered(desk, results=4))


def delivered(desk, results):
    """Whether so many results are in the log, and where they go from there."""
    status = json.loads(answer(desk.here("http://127.0.0.1:8765/api/status")))
    pending = [sink["pending"] for sink in status["sinks"].values()]
    return status["newest"] == results and not any(pending)
