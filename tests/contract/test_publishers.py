"""However a run is published, the same estimate comes of it.

Bluesky's own publisher and proxy, with the serializers people give it, and events in
pages of any size.
"""

import functools
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import event_model
import msgpack
import msgpack_numpy
import msgspec
import numpy as np
import orjson
import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.cli.main import main
from xasnn_stream.profile.prepare import load_engines, load_profiles
from xasnn_stream.sources.codec import encode_document
from xasnn_stream.sources.open import open_source
from xasnn_stream.telemetry.counters import Counters

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky"),
]

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


@pytest.fixture(scope="module")
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


def json_bytes(doc: dict[str, Any]) -> bytes:
    return json.dumps(doc, cls=event_model.NumpyEncoder).encode()


SERIALIZERS = {
    "ours": encode_document,
    "msgpack-numpy": functools.partial(msgpack.packb, default=msgpack_numpy.encode),
    "json": json_bytes,
    "orjson": functools.partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY),
}
PLAIN_SERIALIZERS = {
    "msgpack": msgpack.packb,
    "msgspec": msgspec.msgpack.encode,
    "msgspec-json": msgspec.json.encode,
}


@pytest.mark.parametrize("prefix", [b"", b"bl-2"])
@pytest.mark.parametrize("name", SERIALIZERS)
def test_any_serializer_gives_the_same_estimate(measured, published, name, prefix):
    (run, _) = measured.runs
    options = f"?prefix={prefix.decode()}" if prefix else ""

    received, counters = published(
        run, prefix=prefix, options=options, serializer=SERIALIZERS[name]
    )

    assert measured.estimates(received) == measured.estimates(run)
    assert counters.value("documents_received_total") == len(run)


@pytest.mark.parametrize("name", PLAIN_SERIALIZERS)
def test_serializers_that_know_no_numpy_do_for_plain_documents(
    measured, published, name
):
    run = [(name, json.loads(json_bytes(doc))) for name, doc in measured.runs[0]]

    received, _ = published(run, serializer=PLAIN_SERIALIZERS[name])

    assert received == run
    assert measured.estimates(received) == measured.estimates(run)


def test_a_serializer_that_makes_text_fails_in_the_publisher(measured, published):
    """Nothing of it reaches us, so it is not ours to tell apart."""
    run = [(name, json.loads(json_bytes(doc))) for name, doc in measured.runs[0]]
    with pytest.raises(TypeError, match="bytes-like"):
        published(run, serializer=json.dumps)


def test_blueskys_default_is_refused_with_both_remedies(measured, published, caplog):
    received, counters = published(measured.runs[0])

    assert received == []
    assert counters.value("documents_rejected_total", reason="pickle") >= 1
    (record,) = [r for r in caplog.records if "(pickle)" in r.getMessage()]
    assert "serializer=" in record.getMessage()
    assert "--allow-pickle ADDRESS" in record.getMessage()


def test_blueskys_default_is_read_where_it_is_allowed(measured, published):
    run = measured.runs[0]

    received, counters = published(run, trusted=True)

    assert [name for name, _ in received] == [name for name, _ in run]
    assert measured.estimates(received) == measured.estimates(run)
    assert counters.value("documents_rejected_total", reason="pickle") == 0


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return exec, (f"open({str(self.trace)!r}, 'w').close()",)


def test_a_bomb_from_where_pickle_is_allowed_is_only_counted(
    measured, published, tmp_path
):
    trace = tmp_path / "went off"
    run = measured.runs[0]
    bomb = pickle.dumps({"uid": Bomb(trace)})
    serialized = iter([bomb, *[pickle.dumps(doc) for _, doc in run]])

    received, counters = published(
        [("start", {}), *run], trusted=True, serializer=lambda _: next(serialized)
    )

    assert measured.estimates(received) == measured.estimates(run)
    assert counters.value("documents_rejected_total", reason="pickle") == 1
    assert not trace.exists()


def in_pages(run: list[Named], sizes: list[int]) -> list[Named]:
    """The run with its events packed into pages of these sizes, the rest alone."""
    events = [doc for name, doc in run if name == "event"]
    pages: list[Named] = []
    for size in [*sizes, *[1] * (len(events) - sum(sizes))]:
        page, events = events[:size], events[size:]
        pages.append(("event_page", dict(event_model.pack_event_page(*page))))
    assert not events
    return [*run[:2], *pages, run[-1]]


def with_columns(documents: list[Named]) -> list[Named]:
    """Pages whose columns are arrays."""

    def column(values: list[Any]) -> Any:
        return np.asarray(values)

    return [
        (
            name,
            doc
            if name != "event_page"
            else doc
            | {"data": {key: column(v) for key, v in doc["data"].items()}}
            | {"seq_num": column(doc["seq_num"]), "time": column(doc["time"])},
        )
        for name, doc in documents
    ]


@pytest.mark.parametrize("sizes", [[], [1, 2, 100, 1, 50], [250]])
@pytest.mark.parametrize("columns", [list, with_columns])
def test_a_run_in_pages_gives_the_estimate_of_its_events(
    measured, published, sizes, columns
):
    run = measured.runs[0]
    documents = columns(in_pages(run, sizes))

    received, counters = published(documents, serializer=encode_document)

    assert measured.estimates(received) == measured.estimates(run)
    pages = sum(name == "event_page" for name, _ in documents)
    assert counters.value("documents_received_total", name="event_page") == pages


def test_pages_of_two_runs_may_come_between_each_other(measured):
    first, second = (in_pages(run, [40, 1, 7]) for run in measured.runs)
    longer, shorter = sorted((first, second), key=len, reverse=True)
    both = [
        named
        for row, named_longer in enumerate(longer)
        for named in (named_longer, *shorter[row : row + 1])
    ]

    found = {e["run"]["uid"]: e for e in measured.estimates(both)}

    expected = [e for run in measured.runs for e in measured.estimates(run)]
    assert len(found) == len(expected) == 2
    for estimate in expected:
        got = found[estimate["run"]["uid"]]
        assert got["id"] == estimate["id"]
        assert got["verdict"] == estimate["verdict"] != "rejected"
        for name, descriptor in estimate["descriptors"].items():
            # A batch of two rounds its sums otherwise than a batch of one.
            assert got["descriptors"][name]["value"] == pytest.approx(
                descriptor["value"], abs=1e-6
            )


def test_what_is_recorded_replays_as_the_same_estimate(
    measured, proxy, tmp_path, capsys
):
    into, url = proxy
    file = tmp_path / "recorded.jsonl"
    sender = threading.Thread(
        target=publish_and_end, args=(measured.runs[0], into, file)
    )
    sender.start()
    code = main(["record", url, str(file)])
    sender.join()

    assert code == 0
    summary = capsys.readouterr().err.splitlines()[-1]
    events = sum(name == "event" for name, _ in measured.runs[0])
    assert summary.endswith(f" {events} event, 1 stop; rejected: 0")
    options = ("--reference", str(measured.foil), "--json")
    assert main(["replay", PROFILE, str(file), *options]) == 0
    (replayed,) = map(json.loads, capsys.readouterr().out.splitlines())
    (expected,) = measured.estimates(measured.runs[0])
    assert replayed["id"] == expected["id"]
    assert replayed["descriptors"] == expected["descriptors"]


def publish_and_end(run: list[Named], into: str, file: Path) -> None:
    """Publish a run until it is in the file, then end the recording."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"tcp://{into}")
        deadline = time.monotonic() + WAIT_S
        while not _written(file, "descriptor") and time.monotonic() < deadline:
            for name, doc in run[:2]:
                socket.send(b" ".join([b"", name.encode(), encode_document(doc)]))
            time.sleep(0.5)
        for name, doc in run[2:]:
            socket.send(b" ".join([b"", name.encode(), encode_document(doc)]))
        while not _written(file, "stop") and time.monotonic() < deadline:
            time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)


def _written(file: Path, name: str) -> bool:
    return file.exists() and f'["{name}",' in file.read_text()


def test_a_daemon_reads_pickle_from_the_address_it_was_told(
    measured, proxy, published, free_ports, tmp_path
):
    from xasnn_stream import client

    _, url = proxy
    feed = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    log = tmp_path / "daemon.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "xasnn_stream", "run", PROFILE),
                *("--source", url, "--allow-pickle", url, "--feed", feed),
                *("--http", "none", "--state", str(tmp_path)),
                *("--reference", str(measured.foil)),
            ],
            stderr=output,
        ) as process,
        client.subscribe(feed, timeout_s=WAIT_S) as subscription,
    ):
        try:
            assert subscription.ready(60), log.read_text()
            deadline = time.monotonic() + WAIT_S
            while "reading zmq" not in log.read_text():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            published(measured.runs[0], trusted=True)
            result = next(subscription)
        finally:
            process.terminate()
            process.wait(40)
    (expected,) = measured.estimates(measured.runs[0])
    assert result.estimate["id"] == expected["id"]
    assert result.estimate["descriptors"] == expected["descriptors"]
    assert "PICKLE IS OPENED" in log.read_text()
