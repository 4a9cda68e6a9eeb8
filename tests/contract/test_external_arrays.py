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
