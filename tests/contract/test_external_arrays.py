"""Runs stored in Tiled whose arrays are in files that cannot be read here."""

import secrets

import numpy as np
import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.files import Files
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.profile.prepare import load_profiles
from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.sources.tiled import TiledStore
from xasnn_stream.telemetry.counters import Counters

pytestmark = [
    pytest.mark.system,
    pytest.mark.usefixtures("tiled_server"),
    pytest.mark.timeout(180),  # the first use of the Tiled client imports dask
]


@pytest.fixture(scope="module")
def folder(tiled_server):
    """A folder of the server, and its address."""
    from tiled.client import from_uri

    client = from_uri(tiled_server.url, api_key=tiled_server.key)
    name = f"raw-{secrets.token_hex(4)}"
    yield client.create_container(name), name
    client.context.close()


@pytest.fixture
def store(tiled_server, folder, monkeypatch):
    monkeypatch.setenv("XASNN_TILED_API_KEY", tiled_server.key)
    opened = TiledStore(tiled_server.url, folder[1])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def fly(tiled_server, folder):
    """A run of several sweeps in one growing file, stored by Bluesky's own writer."""
    from bluesky_tiled_plugins import TiledWriter

    directory = tiled_server.files / "dls-fly"
    directory.mkdir()
    generated = generate("dls-fly", directory=directory, seed=11, sweeps=3)
    writer = TiledWriter(folder[0])
    for name, doc in generated.documents:
        writer(name, doc)
    return generated


def assembled(documents, files):
    (profile,) = load_profiles(["dls-fly"], {})
    assembler = Assembler(
        [profile.assembly], Counters(), files=files, patience=Patience(late_s=0.0)
    )
    return [s for name, doc in documents for s in assembler.receive(name, doc, "tiled")]


def test_sweeps_are_those_of_the_files_without_reading_one(fly, store, tiled_server):
    uid = fly.documents[0][1]["uid"]
    from_files = assembled(fly.documents, Files((tiled_server.files,)))

    documents = store.finished_run(uid).documents()
    through_server = assembled(documents, Files(()))

    assert not {"stream_resource", "stream_datum"} & {name for name, _ in documents}
    assert len(through_server) == len(from_files) == len(fly.truth)
    for found, expected in zip(through_server, from_files, strict=True):
        assert found.problem is None
        assert found.run.complete
        assert found.run.sweep == expected.run.sweep
        assert found.run.direction == expected.run.direction
        np.testing.assert_array_equal(found.energy_ev, expected.energy_ev)
        for role, channel in expected.channels.items():
            np.testing.assert_array_equal(found.channels[role], channel)


def test_an_array_the_server_cannot_read_any_more_stays_in_its_file(
    store, folder, tiled_server
):
    from bluesky_tiled_plugins import TiledWriter

    directory = tiled_server.files / "lost"
    directory.mkdir()
    generated = generate("dls-fly", directory=directory, seed=12, sweeps=1)
    writer = TiledWriter(folder[0])
    for name, doc in generated.documents:
        writer(name, doc)
    for file in generated.files:
        file.rename(file.with_suffix(".moved"))
    uid = generated.documents[0][1]["uid"]

    documents = store.finished_run(uid).documents()

    assert "event_page" not in {name for name, _ in documents}
    referred = [doc["data_key"] for name, doc in documents if name == "stream_resource"]
    sent = [d["data_key"] for n, d in generated.documents if n == "stream_resource"]
    assert sorted(referred) == sorted(sent)
    for file in generated.files:
        file.with_suffix(".moved").rename(file)
    (sweep,) = assembled(documents, Files((tiled_server.files,)))
    assert sweep.problem is None


def test_columns_of_a_text_file_come_with_their_event(store, folder, tiled_server):
    from bluesky_tiled_plugins import TiledWriter

    names = ("ts_s", "ts_ns", "encoder", "index", "state")
    table = np.arange(100).reshape(20, 5)
    np.savetxt(tiled_server.files / "encoder", table, fmt="%d")
    key = {
        "source": "pb1",
        "external": "FILESTORE:",
        "dtype": "array",
        "dtype_numpy": [[name, "<i8"] for name in names],
        "shape": [20],
    }
    uid = secrets.token_hex(8)
    writer = TiledWriter(
        folder[0], spec_to_mimetype={"PIZZABOX_ENC_FILE_TXT": "text/csv;header=absent"}
    )
    for name, doc in _fly(uid, key, str(tiled_server.files / "encoder")):
        writer(name, doc)

    documents = store.finished_run(uid).documents()

    (event,) = [doc for name, doc in documents if name == "event"]
    columns = {name: column.tolist() for name, column in event["data"].items()}
    assert columns == dict(zip(names, table.T.tolist(), strict=True))
    assert event["seq_num"] == 1


def _fly(uid, key, path):
    """A run with one event that refers to one file."""
    yield "start", {"uid": uid, "time": 1.0}
    yield (
        "descriptor",
        {
            "uid": f"d-{uid}",
            "run_start": uid,
            "time": 1.0,
            "name": "pb1_enc1",
            "data_keys": {"pb1_enc1": key},
            "configuration": {},
            "hints": {},
            "object_keys": {"pb1_enc1": ["pb1_enc1"]},
        },
    )
    yield (
        "resource",
        {
            "uid": f"r-{uid}",
            "run_start": uid,
            "spec": "PIZZABOX_ENC_FILE_TXT",
            "root": "",
            "resource_path": path,
            "resource_kwargs": {"sep": " "},
            "path_semantics": "posix",
        },
    )
    datum = f"r-{uid}/0"
    yield "datum", {"datum_id": datum, "resource": f"r-{uid}", "datum_kwargs": {}}
    yield (
        "event",
        {
            "uid": f"e-{uid}",
            "descriptor": f"d-{uid}",
            "seq_num": 1,
            "time": 2.0,
            "data": {"pb1_enc1": datum},
            "timestamps": {"pb1_enc1": 2.0},
            "filled": {"pb1_enc1": False},
        },
    )
    stop = {"uid": f"s-{uid}", "run_start": uid, "time": 3.0}
    yield "stop", stop | {"exit_status": "success", "num_events": {"pb1_enc1": 1}}
