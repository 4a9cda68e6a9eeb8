"""A library as npz and as HDF5, as a file and as a folder, whatever rows it has."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import (
    library_files,
    library_of,
    read_contents,
    read_library,
    write_library,
)
from xasnn_stream.shipped import shipped_folder

FOLDER = shipped_folder("models") / "libraries"


@pytest.fixture(scope="module")
def contents():
    return read_contents(FOLDER / "Pt_L3.npz")


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("Pt_L3.npz", "particles.json"):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


def store(folder: Path, name: str, contents, index=None, **arrays) -> Path:
    """Write a library as npz with its index beside it."""
    folder.mkdir(exist_ok=True)
    np.savez(folder / name, **{**contents.arrays, **arrays})
    (folder / "particles.json").write_text(json.dumps(index or contents.index))
    return folder / name


def test_a_library_comes_back_from_hdf5_as_it_was(contents, tmp_path):
    write_library(tmp_path / "Pt_L3.h5", contents.arrays, contents.index)
    again = read_contents(tmp_path / "Pt_L3.h5")
    assert again.index == contents.index
    assert set(again.arrays) == set(contents.arrays)
    for name, array in contents.arrays.items():
        assert again.arrays[name].dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(again.arrays[name], array)
    first, second = library_of(contents), library_of(again)
    np.testing.assert_array_equal(first.mu, second.mu)
    np.testing.assert_array_equal(first.atomic, second.atomic)
    assert first.particles == second.particles
    assert [path.name for path in tmp_path.iterdir()] == ["Pt_L3.h5"]


def test_a_failed_write_leaves_nothing_behind(contents, tmp_path):
    with pytest.raises(TypeError):
        write_library(tmp_path / "Pt_L3.h5", contents.arrays, {"particles": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_library_is_not_written_under_a_foreign_ending(contents, tmp_path):
    with pytest.raises(LibraryError, match=r"\.h5"):
        write_library(tmp_path / "Pt_L3.npz", contents.arrays, contents.index)


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_the_particles_may_lie_beside_an_hdf5_file(contents, tmp_path, form):
    if form == "npz":
        store(tmp_path, "Pt_L3.npz", contents)
    else:
        import h5py

        with h5py.File(tmp_path / "Pt_L3.h5", "w") as file:
            for name, array in contents.arrays.items():
                file[name] = array.astype("S") if array.dtype.kind == "U" else array
        (tmp_path / "particles.json").write_text(json.dumps(contents.index))
    assert "to38" in read_library(tmp_path).complete(1.0)


def test_a_folder_with_one_library_is_that_library(folder):
    assert read_library(folder).sha256 == read_library(folder / "Pt_L3.npz").sha256


def test_one_of_several_elements_is_chosen_by_name(contents, folder):
    calibration = {"Pt": contents.index["calibration"]["Pt"]}
    both = {**contents.index, "calibration": {**calibration, "Au": calibration["Pt"]}}
    store(folder, "Au_L3.npz", contents, both)
    store(folder, "Pt_L3_alt.npz", contents, both)
    assert len(library_files(folder)) == 3
    assert read_library(folder, element="Au").element == "Au"
    assert read_library(folder, "Pt", "L3").element == "Pt"
    with pytest.raises(
        LibraryError, match=r"several.*Au_L3\.npz, Pt_L3\.npz; name one"
    ):
        read_library(folder)
    with pytest.raises(LibraryError, match=r"no library of Pd K; it has Au_L3\.npz"):
        read_library(folder, "Pd", "K")


def test_a_folder_without_a_library_says_so(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(
        LibraryError, match=r"holds no library: no file that ends in \.npz"
    ):
        read_library(tmp_path)


def test_a_variant_has_its_own_calibration(contents, folder):
    own = {"Pt": {**contents.index["calibration"]["Pt"], "norm_amp": 2.0}}
    store(folder, "Pt_L3_alt.npz", contents)
    before = read_library(folder / "Pt_L3_alt.npz")
    (folder / "alt_calibration.json").write_text(json.dumps({"calibration": own}))
    after = read_library(folder / "Pt_L3_alt.npz")
    below = after.x <= 0  # where the slope does not count yet
    factor = 2.0 / contents.index["calibration"]["Pt"]["norm_amp"]
    np.testing.assert_allclose(after.mu[:, below], before.mu[:, below] * factor)
    assert after.sha256 != before.sha256
    np.testing.assert_array_equal(read_library(folder / "Pt_L3.npz").mu, before.mu)


def test_new_particles_and_scales_are_just_read(contents, tmp_path):
    sites, scale = contents.arrays["site_id"], contents.arrays["scale"]
    kept = np.abs(scale - 0.98) < 1e-3
    rows = {name: contents.arrays[name][kept] for name in ("mu", "cn", "R1", "site_id")}
    raw = {
        name.replace("0.98", "1.024"): array
        for name, array in contents.arrays.items()
        if name.startswith("raw_") and name.endswith("0.98")
    }
    arrays = {"x": contents.arrays["x"], **rows, **raw}
    arrays["scale"] = np.full(kept.sum(), 1.024, np.float32)
    pair = [[str(sites[kept][0]), 3], [str(sites[kept][1]), 1]]
    particles = {"mine4": {"sites": pair}, "bulk": contents.index["particles"]["bulk"]}
    index = {**contents.index, "particles": particles}
    write_library(tmp_path / "Pt_L3.hdf5", arrays, index)
    library = read_library(tmp_path)
    assert library.scales == (1.024,)
    assert library.complete(1.024) == ("mine4", "bulk")
    above = library.x > 30
    bulk = library.mu[library.rows(1.024)[library.bulk_site]]
    assert (bulk - library.atomic)[above].mean() == pytest.approx(0.0, abs=0.02)


def test_the_flag_of_completeness_is_not_believed(contents, tmp_path):
    lying = {
        name: {**entry, "complete": not entry["complete"]}
        for name, entry in contents.index["particles"].items()
    }
    path = store(
        tmp_path, "Pt_L3.npz", contents, {**contents.index, "particles": lying}
    )
    assert read_library(path).complete(1.0) == library_of(contents).complete(1.0)


@pytest.mark.parametrize(
    "name", ["x", "mu", "cn", "site_id", "scale", "R1", "raw_mu0_1.00", "raw_e_1.00"]
)
def test_a_missing_array_is_named(contents, tmp_path, name):
    prefix = "raw_mu0_" if name.startswith("raw_mu0_") else name
    gone = [n for n in contents.arrays if n == name or n.startswith(prefix)]
    arrays = {n: a for n, a in contents.arrays.items() if n not in gone}
    write_library(tmp_path / "Pt_L3.h5", arrays, contents.index)
    with pytest.raises(LibraryError, match=rf"not a training library.*no field {name}"):
        read_library(tmp_path / "Pt_L3.h5")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda index: index.pop("bulk_site"), "bulk_site"),
        (lambda index: index.pop("particles"), "particles"),
        (lambda index: index["particles"]["to38"].pop("sites"), "sites"),
        (lambda index: index["calibration"].pop("Pt"), r"calibration\.Pt"),
        (lambda index: index["calibration"]["Pt"].pop("norm_amp"), "norm_amp"),
    ],
)
def test_a_missing_entry_of_the_index_is_named(contents, tmp_path, spoil, named):
    index = json.loads(json.dumps(contents.index))
    spoil(index)
    write_library(tmp_path / "Pt_L3.h5", contents.arrays, index)
    with pytest.raises(LibraryError, match=f"no field {named}"):
        read_library(tmp_path / "Pt_L3.h5")


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("mu", lambda a: a[:, :-1], r"mu has the shape \(362, 290\)"),
        ("cn", lambda a: a[:, :3], r"cn has the shape"),
        ("R1", lambda a: a[1:], r"R1 has the shape"),
        ("mu", lambda a: np.where(a > 1, np.nan, a), "mu holds values that are not"),
        ("x", lambda a: a[::-1], "x does not ascend"),
        ("scale", lambda a: a.astype(str).astype("U3") + "?", "scale holds no numbers"),
    ],
)
def test_an_array_that_does_not_fit_is_named(contents, tmp_path, name, change, told):
    arrays = {**contents.arrays, name: change(contents.arrays[name])}
    write_library(tmp_path / "Pt_L3.h5", arrays, contents.index)
    with pytest.raises(LibraryError, match=told):
        read_library(tmp_path / "Pt_L3.h5")


@pytest.mark.parametrize("name", ["Pt.npz", "Pt.h5"])
def test_a_file_that_names_no_edge_is_refused(contents, tmp_path, name):
    if name.endswith("npz"):
        store(tmp_path, name, contents)
    else:
        write_library(tmp_path / name, contents.arrays, contents.index)
    with pytest.raises(LibraryError, match="tells no element and edge"):
        read_library(tmp_path / name)


def test_a_cut_hdf5_file_is_refused(contents, tmp_path):
    path = tmp_path / "Pt_L3.h5"
    write_library(path, contents.arrays, contents.index)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(LibraryError, match="not a training library"):
        read_library(path)
