"""Files that would take minutes, much memory, or a traceback end in one sentence."""

import io
import json
import os
import time
import zipfile

import numpy as np
import pytest

from xasnn_stream.errors import FileError
from xasnn_stream.files import text
from xasnn_stream.files.hdf5 import read_hdf5
from xasnn_stream.files.read import read_scans

SOON_S = 10.0
"""Far above what these take now, far below the minutes they took."""


def test_a_pipe_nobody_writes_into_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match=r"is a pipe or a device; name a file$"):
        read_scans(tmp_path / "pipe")


def test_more_text_than_fits_is_refused(scans, made, monkeypatch):
    monkeypatch.setattr(text, "_MAX_BYTES", 1_000)
    with pytest.raises(FileError, match="at most 0 MB are read"):
        scans("# energy mu\n" + made.rows(made.mu))


@pytest.mark.parametrize("line", ["# a" + " " * 100_000, "x" + " " * 100_000 + "y"])
def test_long_blanks_in_a_header_take_no_time(scans, made, line):
    began = time.monotonic()
    (scan,) = scans(f"{line}\n# energy mu\n" + made.rows(made.mu))
    assert np.allclose(scan.channels["mu"], made.mu)
    assert time.monotonic() - began < SOON_S


def test_open_brackets_in_a_project_take_no_time(scans):
    began = time.monotonic()
    with pytest.raises(FileError, match="none is a readable"):
        scans("# Athena project file\n@args = (" + "[ " * 50_000 + ");\n[record]\n1;\n")
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize(
    "record",
    [{"x": 5, "y": 5}, {"x": [[1, 2]], "y": [[1, 2]]}, {"x": "abc", "y": [1, 2]}],
)
def test_a_group_of_other_things_than_columns_is_no_absorption(scans, record):
    project = {"_____header": "Athena project file", "a": {"args": {}, **record}}
    with pytest.raises(FileError, match="none is a readable"):
        scans(json.dumps(project))


def test_a_project_nested_without_end_is_damaged(scans):
    with pytest.raises(FileError, match="damaged Athena project"):
        scans('{"_____header": ' + "[" * 100_000)


def test_an_archive_that_unpacks_to_much_is_refused(scans):
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("energy.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(60):
            member.write(bytes(10_000_000))
    assert len(packed.getvalue()) < 1_000_000
    with pytest.raises(FileError, match="unpacks to 600 MB"):
        scans(packed.getvalue(), "small.npz")


def test_an_archive_without_a_frame_holds_no_scan(scans, made):
    packed = io.BytesIO()
    np.savez(packed, energy=made.energy, mu=np.empty((0, len(made.energy))))
    with pytest.raises(FileError, match="holds no scan"):
        scans(packed.getvalue(), "empty.npz")


def test_a_huge_table_that_is_only_declared_is_not_read():
    h5py = pytest.importorskip("h5py")
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        kind = [("energy", "f8"), ("mu", "f8")]
        written.create_dataset("table", (10**9,), kind, chunks=(1000,))
    with pytest.raises(FileError, match="holds no energy"):
        read_hdf5(file.getvalue(), "huge.h5")


def test_more_spectra_than_a_file_may_hold_are_not_all_read():
    h5py = pytest.importorskip("h5py")
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        for number in range(50):
            group = written.create_group(f"g{number}")
            group["energy"] = np.arange(400.0)
            group.create_dataset("mu", (20_000, 400), "f8", chunks=(100, 400))
    with pytest.raises(FileError, match=r"^many.h5 holds more than 10000 spectra"):
        read_hdf5(file.getvalue(), "many.h5")


def test_a_dataset_without_a_value_hides_no_scan(scans, made):
    h5py = pytest.importorskip("h5py")
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written["energy"], written["mu"] = made.energy, made.mu
        written["comment"] = h5py.Empty("f8")
    (scan,) = scans(file.getvalue())
    assert np.allclose(scan.channels["mu"], made.mu)


@pytest.mark.parametrize("angle", ["0.0", "nan"])
def test_angles_that_give_no_energy_are_refused(scans, made, angle):
    rows = "".join(f"{angle} {mu}\n" for mu in made.mu)
    with pytest.raises(FileError, match="the angles in its column angle give no"):
        scans("# Mono.d_spacing: 3.1356\n# angle mu\n" + rows)
