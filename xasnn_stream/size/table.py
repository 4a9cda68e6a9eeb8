"""Writes `families.csv`: coordination numbers of whole clusters up to 10 nm.

`python -m xasnn_stream.size.table > xasnn_stream/size/families.csv` counts every cluster
anew, in about two minutes.
"""

import csv
import sys
from collections.abc import Iterator

import numpy as np

from xasnn_stream.clusters import NEIGHBOUR, cluster, coordination
from xasnn_stream.spectrum import FloatArray

FAMILIES = {
    "truncated octahedron": ("truncated octahedron",),
    "cuboctahedron": ("cuboctahedron",),
    "octahedron": ("octahedron",),
    "cube": ("cube",),
    "sphere": ("sphere", "hole sphere"),
    "icosahedron": ("icosahedron",),
    "decahedron": ("decahedron",),
    "cap on (111)": ("cap on (111)",),
    "cap on (100)": ("cap on (100)",),
    "raft": ("raft",),
    "double raft": ("double raft",),
}
"""What a family is made of, in the words of `clusters.SHAPES`."""

COLUMNS = ("family", "atoms", "across", "cn1", "cn2", "cn3", "cn4")
MOST_ATOMS = 36_000
"""A sphere of platinum of 10 nm."""
MOST_ATOMS_FLAT = {"raft": 200, "double raft": 400}
"""Of platinum 4 nm across. With more, coordination numbers of flat particles stand almost
still, so that any number of atoms would do."""
_GROWTH = 1.12
"""Between two clusters of a family are at least so many times as many atoms."""
_DIRECTIONS = 200

Row = tuple[str, int, float, float, float, float, float]


def rows(most_atoms: int = MOST_ATOMS) -> Iterator[Row]:
    """Return the clusters of every family by their atoms, as `COLUMNS`.

    `across` is the longest distance from edge to edge: between centres of atoms plus
    that of nearest neighbours, in lattice constants.
    """
    for family, shapes in FAMILIES.items():
        limit = min(most_atoms, MOST_ATOMS_FLAT.get(family, most_atoms))
        largest = 0.0
        for positions in _by_size(shapes, limit):
            if len(positions) < _GROWTH * largest:
                continue
            largest = len(positions)
            cn1, cn2, cn3, cn4 = coordination(positions).mean(0).tolist()
            yield family, len(positions), _across(positions), cn1, cn2, cn3, cn4


def _by_size(shapes: tuple[str, ...], limit: int) -> Iterator[FloatArray]:
    series = [_series(shape, limit) for shape in shapes]
    found = [positions for clusters in series for positions in clusters]
    return iter(sorted(found, key=len))


def _series(shape: str, limit: int) -> Iterator[FloatArray]:
    n = 1
    while len(positions := cluster(shape, n)) <= limit:
        yield positions
        # Spheres of many shells differ by few atoms.
        n += 1 + n // 20


def _across(positions: FloatArray) -> float:
    """Return the longest extent over directions spread evenly (a Fibonacci lattice)."""
    k = np.arange(_DIRECTIONS) + 0.5
    z = k / _DIRECTIONS
    angle = np.pi * (1 + 5**0.5) * k
    level = np.sqrt(1 - z**2)
    directions = np.stack((level * np.cos(angle), level * np.sin(angle), z))
    return float(np.ptp(positions @ directions, axis=0).max()) + NEIGHBOUR


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for family, atoms, *numbers in rows():
        writer.writerow([family, atoms, *(f"{number:.4f}" for number in numbers)])
