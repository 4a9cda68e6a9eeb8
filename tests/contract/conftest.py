"""Runs of a real RunEngine, published through Bluesky's own publisher and proxy."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.profile.prepare import load_engines, load_profiles
from xasnn_stream.sources.open import open_source
from xasnn_stream.telemetry.counters import Counters

WAIT_S = 20.0
PROFILE = "sim-step"
Named = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Measured:
    """Two simulated runs as a RunEngine sent them, and what reads them."""

    runs: list[list[Named]]
    foil: Path
    profiles: Any
    engines: Any

    def estimates(self, documents: list[Named]) -> list[dict[str, Any]]:
        """What assembly and engine make of documents."""
        assembler = Assembler([p.assembly for p in self.profiles], Counters())
        spectra = [
            spectrum
            for name, doc in documents
            for spectrum in assembler.receive(name, doc, "test")
        ]
        estimates = self.engines[PROFILE].estimate(spectra)
        return [estimate.document() for estimate in estimates]


@pytest.fixture(scope="session")
def measured(tmp_path_factory) -> Measured:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from bluesky.run_engine import RunEngine

        from xasnn_stream.simulation.beamline import Beamline, seeded
        from xasnn_stream.simulation.foil import measure_foil
        from xasnn_stream.simulation.story import held_out_particles, tell
    from xasnn_stream.library import read_library
    from xasnn_stream.shipped import model_folder, shipped_folder

    models = shipped_folder("models")
    library = read_library(models / "libraries" / "Pt_L3.npz")
    draws = seeded(3)
    beamline = Beamline(library, draws)
    foil = tmp_path_factory.mktemp("foil") / "foil.csv"
    engine = RunEngine({})
    measure_foil(engine, beamline, foil)
    particles = held_out_particles(model_folder("pt-l3-xanes"))
    runs = []
    for chapter in tell(library, particles, 2, draws.story):
        documents: list[Named] = []
        engine(
            beamline.sweep(chapter),
            lambda name, doc, d=documents: d.append((name, doc)),
        )
        runs.append([(name, with_numpy(name, doc)) for name, doc in documents])
    profiles = load_profiles([PROFILE], {})
    return Measured(runs, foil, profiles, load_engines(profiles, str(foil)))


def with_numpy(name: str, doc: dict[str, Any]) -> dict[str, Any]:
    """The document as devices that read numpy values make it."""
    if name != "event":
        return dict(doc)
    data = {key: np.float64(value) for key, value in doc["data"].items()}
    data |= {"counter": np.int32(7), "mca": np.arange(4, dtype="u4")}
    return dict(doc) | {"data": data, "timestamps": dict.fromkeys(data, doc["time"])}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """Bluesky's own proxy: where documents go in, and the URL where they come out."""
    import socket

    with socket.socket() as one, socket.socket() as two:
        for free in (one, two):
            free.bind(("127.0.0.1", 0))
        into, out = one.getsockname()[1], two.getsockname()[1]
    log = tmp_path_factory.mktemp("proxy") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bluesky.commandline.zmq_proxy"),
                *("--in-address", f"127.0.0.1:{into}"),
                *("--out-address", f"127.0.0.1:{out}"),
            ],
            stdout=output,
            stderr=output,
        )
    yield f"127.0.0.1:{into}", f"zmq://127.0.0.1:{out}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def published(proxy):
    """A function: documents as a source receives them from Bluesky's publisher."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from bluesky.callbacks.zmq import Publisher

    def published(documents, *, prefix=b"", options="", trusted=False, **serializer):
        into, url = proxy
        counters = Counters()
        source = open_source(url + options, counters, allow_pickle=trusted)
        publisher = Publisher(into, prefix=prefix, **serializer)
        received: list[Named] = []
        try:
            deadline = time.monotonic() + WAIT_S
            # Until the proxy hears the publisher and we hear the proxy.
            while not counters.value("documents_rejected_total"):
                publisher._socket.send(prefix + b" probe {}")
                source.receive(0.05)
                assert time.monotonic() < deadline
            for name, doc in documents:
                publisher(name, doc)
            stops = sum(name == "stop" for name, _ in documents)
            while sum(name == "stop" for name, _ in received) < stops:
                document = source.receive(0.2)
                if document is not None:
                    received.append((document.name, document.doc))
                elif counters.value("documents_rejected_total", reason="pickle"):
                    break
                assert time.monotonic() < deadline
        finally:
            publisher._socket.close(linger=0)
            publisher._context.term()
            source.close()
        return received, counters

    return published
