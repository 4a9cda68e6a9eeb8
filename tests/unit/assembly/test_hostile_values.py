"""Whatever stands where a number, a name or a uid should be: nothing raises."""

import copy
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.files import Files
from xasnn_stream.profile.prepare import load_profiles
from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.telemetry.counters import Counters

HOSTILE = [
    None,
    "",
    "\x00",
    "x" * 10_000,
    b"bytes",
    [],
    [[]],
    [None],
    {},
    {"a": {}},
    {1: 2},
    (),
    True,
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    10**12,
    10**19,
    -(10**19),
    np.zeros((0, 4)),
    np.arange(3),
    datetime(2026, 1, 1, tzinfo=UTC),
]
SOURCE = "source"


def places(value, path=()):
    """The path of every value in a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = list(enumerate(value))[:3]
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(doc, path, value):
    doc = copy.deepcopy(doc)
    holder = doc
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return doc


REFERENCES = ("resource", "datum", "stream_resource", "stream_datum")


@pytest.fixture(scope="module", params=["sim-step", "sim-quick", "iss-fly", "dls-fly"])
def run(request, tmp_path_factory):
    """The settings of a shape, one run of it with few events, and its files."""
    shape = request.param
    (profile,) = load_profiles([shape], {})
    folder = tmp_path_factory.mktemp(shape)
    documents = generate(shape, seed=1, sweeps=1, directory=folder).documents
    data = ("event", "stream_datum")
    rows = [number for number, (name, _) in enumerate(documents) if name in data]
    few = [named for n, named in enumerate(documents) if n not in rows[6:]]
    return profile.assembly, few, Files([folder], {}, 0.0)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: repr(value)[:20])
def test_no_value_anywhere_in_a_run_stops_the_assembler(run, hostile):
    settings, documents, files = run
    first = {}
    for position, (name, _) in enumerate(documents):
        first.setdefault(name, position)
    for name, position in first.items():
        # Files take their time: they are only read where it matters what names them.
        allowed = files if name in REFERENCES else Files((), {}, 0.0)
        for path in places(documents[position][1]):
            _assemble(settings, allowed, documents, position, path, hostile)


def _assemble(settings, files, documents, position, path, hostile):
    assembler = Assembler([settings], Counters(), files=files)
    for number, (name, doc) in enumerate(documents):
        if number == position:
            doc = changed(doc, path, hostile)
        for spectrum in assembler.receive(name, doc, SOURCE):
            assert spectrum.energy_ev.ndim == 1
    assembler.partials({SOURCE})
    assembler.release_idle_runs()
    assembler.close_open_runs(SOURCE)
    assert not assembler.partials({SOURCE}), "nothing is left open"


def test_a_file_that_leads_into_another_rejects_its_run_only(tmp_path):
    documents = generate("dls-fly", seed=1, sweeps=1, directory=tmp_path).documents
    (resource,) = {
        Path(doc["uri"].removeprefix("file://localhost"))
        for name, doc in documents
        if name == "stream_resource"
    }
    with h5py.File(resource, "w") as file:
        for name, doc in documents:
            if name == "stream_resource":
                dataset = doc["parameters"]["dataset"]
                file[dataset] = h5py.ExternalLink("/elsewhere.h5", "/x")
    (profile,) = load_profiles(["dls-fly"], {})
    files = Files([tmp_path], {}, 60.0)
    assembler = Assembler([profile.assembly], Counters(), files=files)

    spectra = [
        spectrum
        for name, doc in documents
        for spectrum in assembler.receive(name, doc, SOURCE)
    ]

    (rejected,) = spectra
    assert rejected.problem is not None
    assert rejected.problem.code == "unreadable_file"
    assert "leads into another file" in rejected.problem.text
    assert rejected.run.complete, "no file is waited for that can never be read"
