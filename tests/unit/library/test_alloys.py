"""Sites of alloys join those of the pure metal; neighbours are counted by element."""

import json

import numpy as np
import pytest

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import read_library

X = np.arange(-25.0, 120.5, 0.5)
INDEX = {
    "bulk_site": "b",
    "particles": {
        "bulk": {"sites": [["b", 1]]},
        "to38": {"sites": [["b", 6], ["c", 8]]},
        "ico55": {"sites": [["d", 1]]},
    },
    "calibration": {
        "Pd": {
            "norm_amp": 2.0,
            "norm_slope_per_100eV": 0.1,
            "energy_shift_eV": 0.0,
            "E0_tabulated": 0.0,
        }
    },
}


def shells(*first):
    return np.column_stack([first, np.zeros((len(first), 3), int)])


@pytest.fixture
def pure():
    return {
        "x": X,
        "mu": np.outer([1.0, 1.1, 1.2], np.ones_like(X)),
        "site_id": np.array(["b", "c", "b"]),
        "scale": np.array([1.0, 1.0, 0.98]),
        "cn": shells(12, 7, 12),
        "R1": np.array([2.75, 2.75, 2.70]),
        "raw_e_1.00": X,
        "raw_mu0_1.00": np.ones_like(X),
        "raw_Eabs_offset_1.00": 0.0,
    }


@pytest.fixture
def sampled():
    return {
        "x": X,
        "mu": np.outer([0.9, 0.8, 0.7], np.ones_like(X)),
        "site_id": np.array(["m", "n", "o"]),
        "x_au": np.array([0.25, 0.25, 0.5], np.float32),
        "particle": np.array(["to38", "to38", "bulk"]),
        "motif": np.array(["core_au", "core_au", "random"]),
        "cn_pd": shells(4, 6, 5),
        "cn_au": shells(2, 0, 7),
        "R1": np.array([2.8, 2.8, 2.85]),
    }


@pytest.fixture
def write(tmp_path, pure, sampled):
    def write():
        (tmp_path / "particles.json").write_text(json.dumps(INDEX))
        np.savez(tmp_path / "Pd_K.npz", **pure)
        np.savez(tmp_path / "Pd_K_in_PdAu.npz", **sampled)
        return tmp_path / "Pd_K_in_PdAu.npz"

    return write


def test_neighbours_are_counted_by_element_in_alloy_and_pure_metal(write):
    library = read_library(write())
    assert (library.element, library.edge) == ("Pd", "K")
    assert library.columns["cn_pd_pd"].tolist() == [12, 7, 12, 4, 6, 5]
    assert library.columns["cn_pd_au"].tolist() == [0, 0, 0, 2, 0, 7]
    assert library.cn[:, 0].tolist() == [12, 7, 12, 6, 6, 12]


def test_spectra_are_in_units_of_the_foil(write):
    library = read_library(write())
    factor = 2.0 + 0.1 * np.clip(X, 0, None) / 100
    np.testing.assert_allclose(library.mu[0], factor)
    np.testing.assert_allclose(library.mu[-1], 0.7 * factor)


def test_what_was_sampled_of_a_particle_stands_for_it(write):
    library = read_library(write())
    assert library.particles["to38/core_au/0.25"] == (("m", 1), ("n", 1))
    assert library.particles["bulk/random/0.5"] == (("o", 1),)
    assert library.scales == (1.0,)


def test_the_pure_metal_is_there_at_every_lattice_scale_and_apart(write):
    library = read_library(write())
    assert library.particles["to38"] == (("b", 6), ("c", 8))
    assert library.particles["bulk_0.98"] == (("b_0.98", 1),)
    assert "to38_0.98" not in library.particles, "one of its sites has no row there"
    assert len(set(library.site)) == len(library.site)
    assert library.bulk_site in library.rows(1.0)


def test_a_change_of_either_file_is_another_library(write, pure):
    before = read_library(write()).sha256
    pure["mu"] = pure["mu"] * 1.01
    assert read_library(write()).sha256 != before


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("x", X + 0.1, "x or mu do not fit those of Pd K"),
        ("cn_pd", None, "one of them of Pd"),
        ("cn_au", np.zeros((3, 2)), "sites x 4"),
        ("x_au", None, "no field x_<element>"),
        ("motif", None, "no field motif"),
        ("mu", np.full((3, len(X)), np.nan), "mu holds values that are not finite"),
    ],
)
def test_a_field_that_is_missing_or_does_not_fit_is_named(
    write, sampled, field, value, message
):
    del sampled[field]
    if value is not None:
        sampled[field] = value
    with pytest.raises(LibraryError, match=message):
        read_library(write())


def test_the_pure_metal_must_lie_beside(write):
    path = write()
    (path.parent / "Pd_K.npz").unlink()
    with pytest.raises(LibraryError, match=r"Pd_K\.npz is not a training library"):
        read_library(path)
