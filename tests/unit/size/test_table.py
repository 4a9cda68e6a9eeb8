"""The table of counted clusters is what `size.table` counts."""

import csv
from importlib import resources

import numpy as np
import pytest

from xasnn_stream.library import SHELL_BULK_CN
from xasnn_stream.size.families import families
from xasnn_stream.size.table import COLUMNS, FAMILIES, MOST_ATOMS_FLAT, rows

RECOUNTED = 1500


def shipped() -> list[list[str]]:
    text = (resources.files("xasnn_stream.size") / "families.csv").read_text("utf-8")
    return list(csv.reader(text.splitlines()))


def test_the_shipped_table_is_what_is_counted_anew() -> None:
    head, *table = shipped()
    assert tuple(head) == COLUMNS
    small = [row for row in table if int(row[1]) <= RECOUNTED]
    counted = list(rows(RECOUNTED))
    assert [(row[0], int(row[1])) for row in small] == [row[:2] for row in counted]
    shown = np.array([[float(number) for number in row[2:]] for row in small])
    # Four decimals are written.
    np.testing.assert_allclose(shown, [row[2:] for row in counted], atol=6e-5)


def test_every_family_that_is_not_flat_reaches_ten_nanometres() -> None:
    largest = {row[0]: int(row[1]) for row in shipped()[1:]}
    assert largest.keys() == FAMILIES.keys()
    for family, atoms in largest.items():
        # The next of a family may be 12 % and more larger, and beyond the table.
        assert atoms > 27_000 or family in MOST_ATOMS_FLAT


def test_particles_approach_the_crystal_as_they_grow() -> None:
    known = families()
    for name, flat, cn in zip(known.names, known.flat, known.cn, strict=True):
        if flat or name == "icosahedron":
            continue
        lacking = 1 - cn / SHELL_BULK_CN
        assert (lacking[-1] < 0.2).all(), name
        # To a third of the extent, three times the share of atoms is at the surface.
        assert (lacking[-1] < 0.6 * lacking[len(cn) // 2]).all(), name


@pytest.mark.parametrize("shape", ["cube", "truncated octahedron", "cuboctahedron"])
def test_extents_are_those_of_the_geometry(shape: str) -> None:
    known = families()
    k = known.names.index(shape)
    volume = known.atoms[k, -1] / 4
    # Space diagonal of a cube, corners of the regular truncated octahedron (edge 1:
    # volume 8√2, across √10) and of the cuboctahedron (5√2/3, across 2).
    ratio = {"cube": 3**0.5, "truncated octahedron": 10**0.5 / (8 * 2**0.5) ** (1 / 3)}
    expected = ratio.get(shape, 2 / (5 * 2**0.5 / 3) ** (1 / 3)) * volume ** (1 / 3)
    assert known.across[k, -1] == pytest.approx(expected, rel=0.05)
