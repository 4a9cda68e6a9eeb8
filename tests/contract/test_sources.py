"""One suite for every source: the same run arrives with the same content."""

import gc
import math
import secrets
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.settings import (
    AssemblySettings,
    Condition,
    Energy,
    Lookup,
    Quantity,
    Rule,
    Signal,
)
from xasnn_stream.errors import InvalidSourceError, SourceError
from xasnn_stream.handover import HandOver
from xasnn_stream.sources.codec import encode_frame, encode_line
from xasnn_stream.sources.document import Document, Source
from xasnn_stream.sources.open import open_source, open_store
from xasnn_stream.sources.selection import Selection
from xasnn_stream.spectrum import Spectrum
from xasnn_stream.telemetry.counters import Counters

WAIT_S = 10.0
KEY = "XASNN_TILED_API_KEY"
SETTINGS = AssemblySettings(
    profile="step",
    match=(Rule("plan_name", any_of=("xas_step_scan",)),),
    element=Lookup(("element",)),
    edge=Lookup(("edge",)),
    sample=Lookup(("sample",)),
    energy=Energy("mono_energy"),
    signals={
        "i0": Signal("i0", Quantity(("dark.i0",))),
        "it": Signal("it", Quantity(("dark.it",))),
    },
    conditions={"temperature_k": Condition(Quantity(("temperature_k",)))},
)

Named = tuple[str, dict[str, Any]]


def scan(uid: str, scan_id: int, began: float) -> list[Named]:
    """A step scan of 30 points as a RunEngine sends it; one reading is NaN."""
    random = np.random.default_rng(scan_id)
    descriptor = f"d-{uid}"
    keys = {
        key: {"source": "SIM", "dtype": "number", "shape": [], "dtype_numpy": "<f8"}
        for key in ("mono_energy", "i0", "it")
    }
    documents: list[Named] = [
        (
            "start",
            {
                "uid": uid,
                "time": began,
                "scan_id": scan_id,
                "plan_name": "xas_step_scan",
                "element": "Pt",
                "edge": "L3",
                "sample": "Pt/C",
                "num_points": 30,
                "dark": {"i0": 12.3456789012345, "it": 0.1 + 0.2},
                "temperature_k": 573.0,
            },
        ),
        (
            "descriptor",
            {
                "uid": descriptor,
                "run_start": uid,
                "time": began + 0.1,
                "name": "primary",
                "data_keys": keys,
                "configuration": {},
                "hints": {},
                "object_keys": {},
            },
        ),
    ]
    for row in range(30):
        at = began + 1 + row * 0.1
        data = {
            "mono_energy": 11500 + row + random.normal() / 1000,
            "i0": float(random.poisson(1e6)),
            "it": math.nan if row == 7 else random.normal(5e5),
        }
        event = {
            "uid": f"{uid}-{row}",
            "descriptor": descriptor,
            "seq_num": row + 1,
            "time": at,
            "data": data,
            "timestamps": dict.fromkeys(data, at),
        }
        documents.append(("event", event))
    stop = {
        "uid": f"s-{uid}",
        "run_start": uid,
        "time": began + 10,
        "exit_status": "success",
        "reason": "",
        "num_events": {"primary": 30},
    }
    return [*documents, ("stop", stop)]


RUNS = [scan("11111111-aaaa", 1, 1_700_000_000.25), scan("22222222-bbbb", 2, 1.8e9)]
DOCUMENTS = [named for run in RUNS for named in run]


@dataclass(frozen=True)
class Stage:
    """A source kind under test: `url`, and `publish` to call once it is open."""

    url: str
    publish: Callable[[Source], None] = lambda source: None
    live: bool = False


@pytest.fixture(params=["zmq", "handover", "jsonl", "tiled", "databroker"])
def stage(request, tiled_url, tmp_path, free_ports) -> Iterator[Stage]:
    if request.param == "tiled":
        yield Stage(tiled_url)
    elif request.param == "databroker":
        yield Stage("databroker:beamline/raw")
    elif request.param == "zmq":
        with _proxy() as stage:
            yield stage
    elif request.param == "handover":
        with _run_engine(free_ports(1)[0]) as stage:
            yield stage
    else:
        path = tmp_path / "documents.jsonl"
        path.write_bytes(b"".join(encode_line(*named) for named in DOCUMENTS))
        yield Stage(str(path))


@contextmanager
def _run_engine(port: int) -> Iterator[Stage]:
    """What hands documents over, as a RunEngine's process does: from before it is heard."""
    hand_over = HandOver(f"127.0.0.1:{port}")

    def publish(source: Source) -> None:
        for named in DOCUMENTS:
            hand_over(*named)

    yield Stage(f"handover://127.0.0.1:{port}", publish, live=True)
    hand_over.close()
    assert hand_over.lost == 0


@contextmanager
def _proxy() -> Iterator[Stage]:
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    port = publisher.bind_to_random_port("tcp://127.0.0.1")

    def publish(source: Source) -> None:
        source.receive(0)
        assert publisher.poll(WAIT_S * 1000), "no subscription came"
        publisher.recv()
        for named in DOCUMENTS:
            publisher.send(encode_frame(*named))

    yield Stage(f"zmq://127.0.0.1:{port}", publish, live=True)
    publisher.close(linger=0)
    context.term()


@pytest.fixture(scope="module")
def tiled_url(tmp_path_factory) -> Iterator[str]:
    """A Tiled server that holds the runs, written by Bluesky's own writer."""
    folder = tmp_path_factory.mktemp("tiled")
    with _tiled_server(folder) as (server, key), pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY, key)
        _store(server, key)
        _make_known(server, folder / "profiles", patch)
        yield f"tiled+{server}/raw"


def _make_known(server: str, profiles: Path, patch: pytest.MonkeyPatch):
    """Name the server as a catalog that databroker knows: in a profile of Tiled's."""
    import tiled.profiles

    profiles.mkdir()
    (profiles / "here.yml").write_text(f"beamline: {{uri: {server}}}\n")
    patch.setattr(tiled.profiles, "paths", [profiles])
    tiled.profiles.load_profiles.cache_clear()


@contextmanager
def _tiled_server(folder: Path) -> Iterator[tuple[str, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = secrets.token_hex(16)
    (folder / "data").mkdir()
    config = folder / "config.yml"
    config.write_text(f"""
authentication: {{single_user_api_key: "{key}"}}
trees:
  - path: /
    tree: catalog
    args:
      uri: "sqlite:///{folder}/catalog.db"
      init_if_not_exists: true
      writable_storage: ["file://localhost{folder}/data", "sqlite:///{folder}/tables.db"]
media_types:
  BlueskyRun:
    application/json-seq: bluesky_tiled_plugins.exporters:json_seq_exporter
""")
    command = [sys.executable, "-m", "tiled", "serve", "config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "Tiled did not start in 60 s"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", key
    finally:
        server.terminate()
        server.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _store(server: str, key: str) -> None:
    from bluesky_tiled_plugins import TiledWriter
    from tiled.client import from_uri

    client = from_uri(server, api_key=key)
    writer = TiledWriter(client.create_container("raw"))
    unfinished = scan("33333333-cccc", 3, 1.9e9)[:-1]
    for name, doc in [*DOCUMENTS, *unfinished]:
        writer(name, doc)
    client.context.close()


def received(source: Source) -> list[Document]:
    """Everything a source gives until it is exhausted or both runs are stopped."""
    documents: list[Document] = []
    deadline = time.monotonic() + WAIT_S
    while not source.exhausted and time.monotonic() < deadline:
        document = source.receive(0.1)
        if document is not None:
            documents.append(document)
        stops = sum(document.name == "stop" for document in documents)
        if stops == len(RUNS) and not source.can_wait:
            break
    return documents


def spectra(documents: list[Named]) -> list[Spectrum]:
    assembler = Assembler([SETTINGS], Counters())
    return [
        spectrum
        for name, doc in documents
        for spectrum in assembler.receive(name, doc, "source")
    ]


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_source_gives_the_documents_from_which_the_same_spectra_come(stage):
    counters = Counters()
    before_s = time.monotonic()
    source = open_source(stage.url, counters)
    stage.publish(source)

    documents = received(source)

    assert all(before_s <= d.received_s <= time.monotonic() for d in documents)
    assert [d.doc["uid"] for d in documents if d.name == "start"] == [
        run[0][1]["uid"] for run in RUNS
    ]
    for original, got in zip(
        spectra(DOCUMENTS), spectra([(d.name, d.doc) for d in documents]), strict=True
    ):
        assert got.run == original.run
        assert got.time == original.time
        assert got.offsets == original.offsets
        assert got.conditions == original.conditions
        assert got.accounting == original.accounting
        assert got.run.complete
        np.testing.assert_array_equal(got.energy_ev, original.energy_ev)
        for role, channel in original.channels.items():
            np.testing.assert_array_equal(got.channels[role], channel)
    assert counters.value("documents_received_total") == len(documents) == 66
    assert counters.value("documents_rejected_total") == 0
    source.close()


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_source_says_whether_it_is_connected_and_exhausted(stage):
    counters = Counters()
    source = open_source(stage.url, counters)
    stage.publish(source)
    first = source.receive(WAIT_S)

    assert first is not None
    assert first.name == "start"
    deadline = time.monotonic() + WAIT_S
    while not source.connected and time.monotonic() < deadline:
        source.receive(0.05)
    assert source.connected
    assert not source.exhausted
    received(source)
    assert source.receive(0.01) is None
    assert source.exhausted == source.can_wait
    source.close()
    source.close()
    assert counters.value("source_connected", source=source.address) == 0


@pytest.mark.system
@pytest.mark.timeout(120)
def test_stored_runs_are_chosen_by_uid_and_time(stage):
    if stage.live:
        pytest.skip("a live source has nothing to choose from")
    first, second = (run[0][1]["uid"] for run in RUNS)

    def chosen(**selection: Any) -> list[str]:
        source = open_source(stage.url, Counters(), Selection(**selection))
        uids = [d.doc["uid"] for d in received(source) if d.name == "start"]
        source.close()
        return uids

    assert chosen(uids=(second,)) == [second]
    assert chosen(since=1.75e9) == [second]
    assert chosen(until=1_700_000_000.25) == [first]
    assert chosen(until=1_700_000_000.0) == []
    assert chosen(wanted=lambda start: start["scan_id"] == 2) == [second]


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_store_gives_the_runs_that_are_over_as_often_as_it_is_asked(stage):
    if stage.live:
        pytest.skip("a live source stores nothing")
    first, second = (run[0][1]["uid"] for run in RUNS)
    store = open_store(stage.url)
    for _ in range(2):
        runs = list(store.finished_runs())
        assert [run.start["uid"] for run in runs] == [first, second]
    assert [run.start["uid"] for run in store.finished_runs(1.75e9)] == [second]
    assert store.finished_run("33333333-cccc") is None, "its stop is not stored"
    assert store.finished_run("no-such-run") is None
    run = store.finished_run(second)
    assert run is not None
    (got,), (original,) = spectra(run.documents()), spectra(RUNS[1])
    assert got.run == original.run
    np.testing.assert_array_equal(got.channels["it"], original.channels["it"])
    store.close()
    store.close()


@pytest.mark.system
@pytest.mark.timeout(120)
def test_a_tiled_server_that_cannot_be_read_says_what_to_do(tiled_url, monkeypatch):
    with pytest.raises(SourceError, match="has no 'nothing'"):
        open_source(tiled_url.replace("/raw", "/nothing"), Counters())
    source = open_source(tiled_url, Counters(), Selection(uids=("no-such-run",)))
    with pytest.raises(SourceError, match="no run no-such-run"):
        source.receive(1.0)
    source.close()
    monkeypatch.setenv(KEY, "wrong")
    with pytest.raises(SourceError, match=f"cannot open .* {KEY}"):
        open_source(tiled_url, Counters())
    with pytest.raises(
        InvalidSourceError, match=r"no catalog of that name.*: beamline"
    ):
        open_source("databroker:beamlime", Counters())
    with warnings.catch_warnings():
        # The client leaves its connection open when the server refuses the key.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
