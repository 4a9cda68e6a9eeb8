"""What a daemon loses of a flood, or when it is killed, and what comes back; by hand.

    python -m tests.bench.loss flood [--runs 186] [--quick 10] [--sweeps 300]
    python -m tests.bench.loss kill [--sweeps 300]

`flood` sends runs of sim-step and of sim-quick (many sweeps per run) as fast as 0MQ takes
them while the daemon stands still for 4 s (SIGSTOP); only then are they stored. `kill`
kills the daemon with signal 9 in the middle of a run of sim-quick, starts it again behind
the run's end, and counts the results of every sweep. Prints one JSON line each.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.simulation.documents.truth import Documents
from xasnn_stream.simulation.processes import Children
from xasnn_stream.simulation.services import Services, plan_services
from xasnn_stream.sources.codec import encode_frame, encode_line

PROFILES = ("sim-step", "sim-quick")
STALL_S = 4.0
QUIET_S = 8.0
"""After the last result the daemon is taken to have said what it heard."""
RECOVERED_S = 900.0
Sweep = tuple[str, int]


class Daemon:
    """A daemon process and what its result log says, newest results last."""

    def __init__(self, services: Services, children: Children) -> None:
        self._services = services
        self._children = children
        self._seq = 0
        self.results: list[dict[str, Any]] = []

    def start(self) -> None:
        """Start it, with what it had before, and wait until it is ready."""
        services = self._services
        command = [
            *(sys.executable, "-m", "xasnn_stream.cli.main", "run", *PROFILES),
            *("--source", services.source, "--feed", "none"),
            *("--http", f"127.0.0.1:{services.http_port}"),
            *("--reference", str(services.foil)),
            *("--state", str(services.folder / "state")),
            *("--backfill", str(services.record)),
        ]
        self._children.start("daemon", command, {})
        self._children.wait_until(self._ready, "the daemon", 120.0)

    def kill(self) -> None:
        """End it as a crash would."""
        self._children.kill("daemon")

    def look(self) -> bool:
        """Read new results of the log; return whether there were any."""
        self._children.check()
        new = json.loads(self._get(f"/api/history?since={self._seq}"))["results"]
        for result in new:
            self._seq = max(self._seq, result["seq"])
            self.results.append(result["estimate"])
        return bool(new)

    def complete(self) -> Counter[Sweep]:
        """Return how many complete results each sweep has."""
        runs = [estimate["run"] for estimate in self.results]
        return Counter((run["uid"], run["sweep"]) for run in runs if run["complete"])

    def metric(self, name: str, label: str = "") -> int:
        """Return the sum of a metric over all series with a label."""
        lines = self._get("/metrics").splitlines()
        found = [x for x in lines if x.startswith(f"xasnn_{name}") and label in x]
        return int(sum(float(line.split()[-1]) for line in found))

    def wait_until_quiet(self, wanted: set[Sweep]) -> None:
        """Wait until all sweeps are complete, or nothing has come for a while."""
        heard = time.monotonic()
        while self.complete().keys() < wanted and time.monotonic() - heard < QUIET_S:
            if self.look():
                heard = time.monotonic()
            time.sleep(0.2)

    def wait_for(self, wanted: set[Sweep]) -> None:
        """Wait until all sweeps are complete, or for `RECOVERED_S`."""
        deadline = time.monotonic() + RECOVERED_S
        while self.complete().keys() < wanted and time.monotonic() < deadline:
            if not self.look():
                time.sleep(0.5)

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(self._services.page + path, timeout=60) as answer:
            return answer.read().decode()

    def _ready(self) -> bool:
        try:
            return bool(self._get("/readyz"))
        except OSError:
            return False


def main() -> int:
    """Measure what is asked for; 1 if a sweep is missing or there twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("flood", "kill"))
    parser.add_argument("--runs", type=int, default=186, help="runs of sim-step")
    parser.add_argument("--quick", type=int, default=10, help="runs of sim-quick")
    parser.add_argument("--sweeps", type=int, default=300, help="of a run of sim-quick")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        services = plan_services(Path(folder))
        write_foil(services)
        services.record.touch()
        with (
            context.socket(zmq.XPUB) as publisher,
            Children(Path(folder) / "logs") as children,
        ):
            publisher.setsockopt(zmq.LINGER, 0)
            # Nothing is held back: what 0MQ cannot deliver is lost, as behind a proxy.
            publisher.bind(f"tcp://127.0.0.1:{services.out_port}")
            daemon = Daemon(services, children)
            daemon.start()
            if not publisher.poll(10_000):
                raise TimeoutError("the daemon does not listen")
            if arguments.what == "flood":
                told = flood(daemon, publisher, services, arguments)
            else:
                told = killed(daemon, publisher, services, arguments.sweeps)
    print(json.dumps(told))
    return int(told["missing"] + told["twice"] > 0)


def flood(
    daemon: Daemon, publisher: Any, services: Services, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Send all runs at once to a daemon that stands still for a while."""
    runs = [
        *copies("sim-step", 1, arguments.runs, services.folder),
        *copies("sim-quick", arguments.sweeps, arguments.quick, services.folder),
    ]
    np.random.default_rng(0).shuffle(runs)
    frames = [frame for run in runs for frame in run[0]]
    wanted = {sweep for run in runs for sweep in run[2]}
    pid = pid_of(services)
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(STALL_S, os.kill, (pid, signal.SIGCONT)).start()
    began = time.monotonic()
    for frame in frames:
        publisher.send(frame)
    sending_s = time.monotonic() - began
    time.sleep(STALL_S)
    daemon.wait_until_quiet(wanted)
    told = {
        "sent": len(frames),
        "sending_s": round(sending_s, 1),
        "received": daemon.metric("documents_received_total", services.source),
        "known_missed": daemon.metric("rows_missed_total"),
        "sweeps": len(wanted),
        "before_recovery": len(daemon.complete()),
    }
    stored = time.monotonic()
    with services.record.open("ab") as file:
        file.writelines(line for run in runs for line in run[1])
    daemon.wait_for(wanted)
    return (
        told
        | counted(daemon, wanted)
        | {
            "recovered_s": round(time.monotonic() - stored, 1),
            "runs_recovered": daemon.metric("runs_recovered_total"),
            "runs": len(runs),
        }
    )


def killed(
    daemon: Daemon, publisher: Any, services: Services, sweeps: int
) -> dict[str, Any]:
    """Kill the daemon in mid-run, after a third of its results."""
    ((frames, lines, wanted),) = copies("sim-quick", sweeps, 1, services.folder)
    half = len(frames) // 2
    for frame in frames[:half]:
        publisher.send(frame)
        time.sleep(0.02)
    while len(daemon.complete()) < sweeps // 3:
        daemon.look()
    daemon.kill()
    before = len(daemon.complete())
    for frame in frames[half:]:
        publisher.send(frame)
    with services.record.open("ab") as file:
        file.writelines(lines)
    began = time.monotonic()
    daemon.start()
    started_s = time.monotonic() - began
    daemon.wait_for(set(wanted))
    time.sleep(2.0)
    daemon.look()
    return {
        "sweeps": len(wanted),
        "before_kill": before,
        "started_s": round(started_s, 1),
        "all_s": round(time.monotonic() - began, 1),
        **counted(daemon, set(wanted)),
    }


def counted(daemon: Daemon, wanted: set[Sweep]) -> dict[str, int]:
    """Return how many sweeps are there, missing, twice, and were never measured."""
    complete = daemon.complete()
    return {
        "complete": len(complete.keys() & wanted),
        "missing": len(wanted - complete.keys()),
        "twice": sum(count > 1 for count in complete.values()),
        "strange": len(complete.keys() - wanted),
    }


def copies(
    shape: str, sweeps: int, runs: int, folder: Path
) -> list[tuple[list[bytes], list[bytes], list[Sweep]]]:
    """Return frames, lines and sweeps of one run, each time with uids of its own."""
    generated = generate(shape, seed=1, sweeps=sweeps, directory=folder)
    documents = of_today(generated.documents)
    frames = [encode_frame(*named) for named in documents]
    lines = [encode_line(*named) for named in documents]
    uids = {doc["uid"] for name, doc in documents if name in ("start", "descriptor")}
    made: list[tuple[list[bytes], list[bytes], list[Sweep]]] = []
    for number in range(runs):
        again = {uid: f"{number:08d}{uid[8:]}" for uid in uids}
        made.append(
            (
                [renamed(frame, again) for frame in frames],
                [renamed(line, again) for line in lines],
                [(again[truth.run], truth.sweep) for truth in generated.truth],
            )
        )
    return made


def of_today(documents: Documents) -> Documents:
    """Return documents of now: old runs of a store are left alone."""
    later_s = time.time() - documents[0][1]["time"]
    return [(name, doc | {"time": doc["time"] + later_s}) for name, doc in documents]


def renamed(data: bytes, uids: dict[str, str]) -> bytes:
    """Return a frame or line with other uids of the same length."""
    for old, new in uids.items():
        data = data.replace(old.encode(), new.encode())
    return data


def write_foil(services: Services) -> None:
    """Write the reference foil of the simulated beamline."""
    truth = generate("sim-quick", directory=services.folder, sweeps=1).truth[0]
    table = np.column_stack([truth.energy_ev, truth.mu_reference])
    np.savetxt(services.foil, table, delimiter=",", header="energy,mu", comments="")


def pid_of(services: Services) -> int:
    """Return the process that serves the daemon's page."""
    wanted = f"127.0.0.1:{services.http_port}".encode()
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in words and entry.name.isdigit():
            return int(entry.name)
    raise ProcessLookupError("the daemon is not running")


if __name__ == "__main__":
    sys.exit(main())
