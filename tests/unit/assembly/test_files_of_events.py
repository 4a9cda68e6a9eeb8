"""Events that refer to files, point by point."""

from dataclasses import replace

import h5py
import numpy as np

from xasnn_stream.assembly.files import Files

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
