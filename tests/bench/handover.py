"""What handing a document over costs a RunEngine, whatever the daemon does; by hand.

    python -m tests.bench.handover [--runs 20]

A real RunEngine scans the simulated beamline with `xasnn_stream.handover.HandOver`
subscribed, while a real daemon is alive, stuck (SIGSTOP), dead (SIGKILL) and back.
Prints one JSON line each: microseconds per document, from call to return.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from xasnn_stream.handover import HandOver
from xasnn_stream.library import read_library
from xasnn_stream.shipped import model_folder, shipped_folder
from xasnn_stream.simulation.processes import free_ports, listens

START_S = 60.0


class Timed:
    """A callback that measures how long another one takes, in nanoseconds."""

    def __init__(self, callback: HandOver) -> None:
        self._callback = callback
        self.taken: list[int] = []

    def __call__(self, name: str, doc: dict) -> None:
        began = time.perf_counter_ns()
        self._callback(name, doc)
        self.taken.append(time.perf_counter_ns() - began)


@contextmanager
def daemon(port: int, folder: Path) -> Iterator[subprocess.Popen]:
    """The daemon as its own process, once it listens."""
    command = [sys.executable, "-m", "xasnn_stream", "run", "sim-step"]
    command += ["--source", f"handover://127.0.0.1:{port}", "--state", str(folder)]
    with (folder / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--feed", "none", "--http", "none"], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit((folder / "daemon.log").read_text())
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Measure and print a line per state of the daemon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="scans per state")
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # of ophyd's dependencies
    from bluesky.run_engine import RunEngine

    from xasnn_stream.simulation.beamline import Beamline, seeded
    from xasnn_stream.simulation.story import held_out_particles, tell

    library = read_library(shipped_folder("models") / "libraries" / "Pt_L3.npz")
    draws = seeded(3)
    beamline = Beamline(library, draws)
    particles = held_out_particles(model_folder("pt-l3-xanes"))
    chapters = tell(library, particles, options.runs, draws.story)
    (port,) = free_ports(1)
    hand_over = HandOver(f"127.0.0.1:{port}")
    timed = Timed(hand_over)
    engine = RunEngine({}, context_managers=[])
    engine.subscribe(timed)

    def measure(state: str) -> None:
        timed.taken.clear()
        for chapter in chapters:
            engine(beamline.sweep(chapter))
        percentiles = np.percentile(timed.taken, (50, 99, 99.9, 100)) / 1000
        names = ("p50", "p99", "p99.9", "max")
        line = {
            "what": "handover",
            "daemon": state,
            "documents": len(timed.taken),
            "us": {n: round(us, 1) for n, us in zip(names, percentiles, strict=True)},
            "held": hand_over.held,
            "lost": hand_over.lost,
        }
        print(json.dumps(line), flush=True)

    with tempfile.TemporaryDirectory() as name:
        with daemon(port, Path(name)) as process:
            measure("alive")
            process.send_signal(signal.SIGSTOP)
            measure("stuck")
        measure("dead")
        with daemon(port, Path(name)):
            measure("back")
    hand_over.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
