import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import average, crystal, form, mix, read_library, shape_class
from xasnn_stream.shipped import shipped_folder

FOLDER = shipped_folder("models") / "libraries"


@pytest.fixture(scope="module")
def library():
    return read_library(FOLDER / "Pt_L3.npz")


@pytest.fixture
def copied(tmp_path) -> Path:
    for name in ("Pt_L3.npz", "particles.json"):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


def test_a_library_says_what_it_holds(library):
    assert (library.element, library.edge) == ("Pt", "L3")
    assert library.scales == (0.96, 0.98, 1.0)
    assert (library.x[0], library.x[-1]) == (-25.0, 120.0)
    assert library.mu.shape == (len(library.site), len(library.x))
    assert len(library.sha256) == 64


def test_spectra_are_in_units_of_the_normalized_foil(library):
    bulk = library.mu[library.rows(1.0)[library.bulk_site]]
    # The foil is flattened to one; theory misses it by 0.032 rms.
    assert bulk[library.x > 60].mean() == pytest.approx(1.0, abs=0.03)
    # χ oscillates about the atom's background and averages out.
    above = library.x > 30
    assert (bulk - library.atomic)[above].mean() == pytest.approx(0.0, abs=0.01)


def test_the_atom_is_in_the_unit_of_the_sites(library):
    # An atom with few neighbours is nearly alone: its fine structure is a few percent.
    lonely = library.cn[:, 0].argmin()
    above = library.x > 40
    assert np.abs(library.mu[lonely] - library.atomic)[above].mean() < 0.03


def test_particles_are_complete_by_their_sites(library):
    complete = library.complete(1.0)
    assert {"to38", "cubo147", "ico55", "bulk"} <= set(complete)
    for name in complete:
        assert all(site in library.rows(1.0) for site, _ in library.particles[name])
    lacking = set(library.particles) - set(complete)
    for name in lacking:
        assert any(site not in library.rows(1.0) for site, _ in library.particles[name])
    assert set(library.complete(0.96)) < set(complete)
    assert library.complete(0.5) == ()


def test_a_truncated_octahedron_of_38_atoms_has_its_known_neighbours(library):
    formed = form(library, "to38")
    # 24 vertices with 6, 8 facet centres with 9, 6 core atoms with 12 neighbours.
    assert formed.cn[0] == pytest.approx((24 * 6 + 8 * 9 + 6 * 12) / 38, abs=1e-9)
    np.testing.assert_allclose(formed.cn, (7.58, 2.68, 8.84, 3.16), atol=0.005)


def test_bulk_is_an_fcc_crystal(library):
    for scale in library.scales:
        bulk = form(library, "bulk", scale)
        np.testing.assert_allclose(bulk.cn, (12, 6, 24, 12))
        # a = 3.924 Å: nearest neighbours at a/√2, times the scale.
        assert bulk.r1 == pytest.approx(3.9242 / np.sqrt(2) * scale, abs=0.003)


def test_a_particle_is_the_mean_over_its_atoms(library):
    rows, sites = library.rows(1.0), library.particles["to38"]
    by_hand = sum(count * library.mu[rows[site]] for site, count in sites) / 38
    np.testing.assert_allclose(form(library, "to38").mu, by_hand, atol=1e-12)


def test_r1_is_the_mean_over_bonds_not_atoms(library):
    first, last = library.rows(0.96), library.rows(1.0)
    vertex = min(first, key=lambda site: library.cn[first[site], 0])
    pair = [first[vertex], last[library.bulk_site]]
    n1, n2 = library.cn[pair, 0]
    r1, r2 = library.r1[pair]
    formed = average(library, pair, np.array([3.0, 1.0]))
    assert formed.r1 == pytest.approx((3 * n1 * r1 + n2 * r2) / (3 * n1 + n2))
    assert formed.r1 != pytest.approx((3 * r1 + r2) / 4, abs=0.01)
    assert formed.cn[0] == pytest.approx((3 * n1 + n2) / 4)


def test_mixing_formed_particles_is_forming_their_atoms_together(library):
    mixed = mix([(38, form(library, "to38")), (1, form(library, "bulk")), (0, None)])
    rows, sites = library.rows(1.0), library.particles["to38"]
    index = [rows[site] for site, _ in sites] + [rows[library.bulk_site]]
    counts = np.array([float(count) for _, count in sites] + [1.0])
    together = average(library, index, counts)
    np.testing.assert_allclose(mixed.mu, together.mu, atol=1e-12)
    np.testing.assert_allclose(mixed.cn, together.cn, atol=1e-12)
    assert mixed.r1 == pytest.approx(together.r1, abs=1e-12)


@pytest.mark.parametrize(
    ("particle", "shape"),
    [
        ("ico147", "icosahedral"),
        ("hcp_19", "hcp"),
        ("deca23", "decahedral"),
        ("hemi111_13", "fcc"),
        ("cubo55", "fcc"),
        ("sphO_68", "fcc"),
    ],
)
def test_a_particles_name_tells_its_lattice(particle, shape):
    assert shape_class(particle) == shape


@pytest.mark.parametrize("particle", ["to39", "to38 "])
def test_an_unknown_particle_is_an_error_that_lists_the_known(library, particle):
    with pytest.raises(LibraryError, match=r"cannot be formed.*cubo55"):
        form(library, particle)


def test_a_particle_that_is_incomplete_at_a_scale_is_an_error(library):
    only_at_one = next(
        name for name in library.complete(1.0) if name not in library.complete(0.96)
    )
    with pytest.raises(LibraryError, match=r"at scale 0\.96 of Pt L3"):
        form(library, only_at_one, 0.96)


def at_scales(library, *scales):
    rows = np.isin(library.scale, scales)
    parts = {name: getattr(library, name)[rows] for name in ("site", "scale", "mu")}
    return replace(library, **parts)


def test_a_foil_is_not_strained_where_all_sites_are(library):
    at_rest = crystal(library)
    assert np.array_equal(at_rest, form(library, "bulk").mu)
    strained = form(library, "bulk", 0.98).mu
    told = crystal(at_scales(library, 0.96, 0.98))
    assert np.abs(told - at_rest).mean() < np.abs(strained - at_rest).mean() / 2


@pytest.mark.parametrize("scales", [(), (0.98,)])
def test_a_library_that_does_not_tell_the_foil_says_what_to_add(library, scales):
    with pytest.raises(LibraryError, match="neither at scale 1 nor at two others"):
        crystal(at_scales(library, *scales))


def test_the_hash_covers_both_files(library, copied):
    assert read_library(copied / "Pt_L3.npz").sha256 == library.sha256
    index = copied / "particles.json"
    index.write_text(json.dumps(json.loads(index.read_text())))
    assert read_library(copied / "Pt_L3.npz").sha256 != library.sha256


def drop_field(folder):
    with np.load(folder / "Pt_L3.npz") as arrays:
        fields = {name: arrays[name] for name in arrays.files if name != "mu"}
    np.savez(folder / "Pt_L3.npz", **fields)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "particles.json").unlink(),
        lambda folder: (folder / "Pt_L3.npz").unlink(),
        lambda folder: (folder / "Pt_L3.npz").write_bytes(b"not an archive"),
        lambda folder: (folder / "particles.json").write_text("{"),
        lambda folder: (folder / "particles.json").write_text("{}"),
        lambda folder: (folder / "particles.json").write_text("[]"),
        lambda folder: (folder / "Pt_L3.npz").write_bytes(
            (folder / "Pt_L3.npz").read_bytes()[:5000]
        ),
        drop_field,
    ],
    ids=["no index", "no file", "no archive", "no JSON", "empty", "list", "cut", "mu"],
)
def test_what_is_no_library_is_refused(copied, spoil):
    spoil(copied)
    with pytest.raises(LibraryError, match="is not a training library"):
        read_library(copied / "Pt_L3.npz")


def test_a_file_that_is_no_archive_is_no_invitation_to_unpickle_it(copied):
    (copied / "Pt_L3.npz").write_bytes(b"not an archive")
    with pytest.raises(LibraryError, match="no npz archive") as refused:
        read_library(copied / "Pt_L3.npz")
    assert "pickle" not in str(refused.value)
