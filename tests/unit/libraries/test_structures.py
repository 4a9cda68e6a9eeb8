import numpy as np
import pytest

from xasnn_stream.clusters import coordination, crystal
from xasnn_stream.errors import UsageError
from xasnn_stream.libraries.structures import cut_out, particle, read_xyz
from xasnn_stream.library import form, library_of

ELSEWHERE = {"bulk", "mdeca268"}


def test_every_particle_of_the_library_has_its_coordination_numbers(pt_contents):
    library = library_of(pt_contents)
    names = set(library.complete(1.0)) - ELSEWHERE
    assert len(names) > 30
    for name in names:
        positions = particle(name)
        assert len(positions) == pt_contents.index["particles"][name]["natoms"]
        expected = form(library, name).cn
        np.testing.assert_allclose(coordination(positions).mean(0), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("to39", "no to39: that shape has no 39 atoms; next is to38 or to55"),
        ("ico5", "next is ico13"),
        ("blob38", "no particle 'blob38'.*shapes are cubo"),
        ("to", "no particle 'to'|no to"),
        ("cubo1000000", "up to 3000 atoms"),
    ],
)
def test_what_is_no_particle_says_what_is(name, told):
    with pytest.raises(UsageError, match=told):
        particle(name)


def test_the_crystal_has_bulk_coordination():
    positions = crystal(3.2)
    centre = int(np.argmin(np.linalg.norm(positions, axis=1)))
    np.testing.assert_array_equal(coordination(positions)[centre], (12, 6, 24, 12))
    assert len(cut_out(positions, centre, 1.65)) == 79


def test_an_atom_sees_itself_first_and_the_nearest_next():
    positions = particle("to38")
    seen = cut_out(positions, 7, 1.65)
    distance = np.linalg.norm(seen, axis=1)
    assert distance[0] == 0
    assert (np.diff(distance) >= 0).all()
    assert distance[-1] <= 1.65 < np.linalg.norm(positions - positions[7], axis=1).max()


def test_structures_come_from_xyz_files_as_well(tmp_path):
    lines = [f"Pt {x:.6f} {y:.6f} {z:.6f}" for x, y, z in particle("oct6") * 3.924]
    path = tmp_path / "mine.xyz"
    path.write_text("\n".join(["6", "an octahedron", *lines]) + "\n")
    np.testing.assert_allclose(read_xyz(path, "Pt", 3.924), particle("oct6"), atol=1e-6)
    with pytest.raises(UsageError, match="holds Pt: a library is of Au alone"):
        read_xyz(path, "Au", 4.078)
    path.write_text("\n".join(["7", "", *lines]) + "\n")
    with pytest.raises(UsageError, match="7 atoms announced, 6 found"):
        read_xyz(path, "Pt", 3.924)
    path.write_text("Pt 0 0\n")
    with pytest.raises(UsageError, match="no XYZ file"):
        read_xyz(path, "Pt", 3.924)
