"""Events that refer to files, point by point."""

from dataclasses import replace

import h5py
import numpy as np

from xasnn_stream.assembly import references
from xasnn_stream.assembly.decoders import NotReady
from xasnn_stream.assembly.files import Files
from xasnn_stream.assembly.settings import Segment

from .bench import Bench
from .documents import SETTINGS, descriptor, event, start, stop

SPEC = {"spec": "AD_HDF5", "resource_kwargs": {"frame_per_point": 1}}


def referring(path, **more):
    name, doc = descriptor()
    keys = {"it": {"external": "FILESTORE:"}, "image": {"external": "FILESTORE:"}}
    resource = {**SPEC, "uid": "r", "run_start": "run", "root": "/", **more}
    resource["resource_path"] = str(path)
    datums = [
        {"datum_id": f"r/{i}", "resource": "r", "datum_kwargs": {"point_number": i}}
        for i in range(4)
    ]
    return [
        start(),
        (name, doc | {"data_keys": keys}),
        ("resource", resource),
        *(("datum", datum) for datum in datums),
        *(event(i + 1, it=f"r/{i}", image="elsewhere/0") for i in range(4)),
        stop(),
    ]


def test_the_frame_of_a_point_is_its_reading(tmp_path):
    path = tmp_path.resolve() / "counts.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = np.arange(4.0) + 100
    bench = Bench(files=Files((path.parent,)))

    (spectrum,) = bench.receive(referring(path))

    assert spectrum.problem is None
    assert spectrum.channels["it"].tolist() == [100, 101, 102, 103]


def test_files_that_no_signal_needs_are_not_read(tmp_path):
    signals = {role: s for role, s in SETTINGS.signals.items() if role != "it"}
    settings = replace(SETTINGS, signals=signals)
    bench = Bench(settings, files=Files((tmp_path,)))

    (spectrum,) = bench.receive(referring(tmp_path / "nothing.h5"))

    assert spectrum.problem is None
    assert spectrum.run.complete


def late_files(monkeypatch, there):
    """Count the decodes of events whose files are `there` only when it says so."""
    asked = []

    def decode(path, parameters, data_key):
        number = parameters["point_number"]
        asked.append(number)
        if number not in there:
            raise NotReady("later")
        return {"": np.full(4, 5e4)}

    monkeypatch.setattr(references, "DECODERS", {SPEC["spec"]: decode})
    return asked


def sweeps_in_files(path, count):
    name, doc = descriptor()
    yield from (start(), (name, doc | {"data_keys": {"it": {"external": "F:"}}}))
    yield "resource", {**SPEC, "uid": "r", "run_start": "run", "resource_path": path}
    ones = np.ones(4)
    energies = 11500.0 + np.arange(4)
    for i in range(count):
        datum = {"datum_id": f"r/{i}", "resource": "r"}
        yield "datum", datum | {"datum_kwargs": {"point_number": i}}
        yield event(i + 1, it=f"r/{i}", energy=energies, i0=ones, ir=ones)


PER_EVENT = replace(SETTINGS, segment=Segment(kind="per_event"))


def test_events_that_wait_for_a_file_are_not_all_tried_at_every_document(
    tmp_path, monkeypatch
):
    there = set()
    asked = late_files(monkeypatch, there)
    bench = Bench(PER_EVENT, files=Files((tmp_path,), timeout_s=60.0))

    assert bench.receive(sweeps_in_files(str(tmp_path / "a.h5"), 100)) == []
    assert len(asked) <= 3 * 100

    there |= set(range(100))
    spectra = bench.receive([stop(n_events=100)])
    assert [s.run.sweep for s in spectra] == list(range(100))
    assert all(s.problem is None and s.run.complete for s in spectra)


def test_a_file_that_never_comes_holds_up_no_event_behind_it(tmp_path, monkeypatch):
    there = set()
    late_files(monkeypatch, there)
    bench = Bench(PER_EVENT, files=Files((tmp_path,), timeout_s=60.0))
    documents = list(sweeps_in_files(str(tmp_path / "a.h5"), 10))

    early = bench.receive(documents[:-10])
    there |= {1, 2, 3, 4, 5, 6, 7, 8, 9}
    later = bench.receive(documents[-10:])

    assert early == []
    assert sorted(s.run.sweep for s in later) == list(range(1, 10))
