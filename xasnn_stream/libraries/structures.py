"""Particles by name, as site libraries call them: `to38`, `hemi111_13`, `ico55`, `bulk`.

A name is a shape and a number of atoms. Positions are in units of the lattice constant.
"""

import re
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path

import numpy as np

from xasnn_stream.clusters import cluster, truncated_octahedron
from xasnn_stream.errors import UsageError
from xasnn_stream.spectrum import FloatArray

NAMED_SHAPES = {
    "cubo": "cuboctahedron",
    "oct": "octahedron",
    "cube": "cube",
    "sph": "sphere",
    "sphO": "hole sphere",
    "hemi111": "cap on (111)",
    "hemi100": "cap on (100)",
    "raft111x1": "raft",
    "raft111x2": "double raft",
    "ico": "icosahedron",
    "deca": "decahedron",
    "hcp": "hcp sphere",
}
TRUNCATED = "to"
"""Octahedra cut at their corners, however deep."""

MOST_ATOMS = 3000


def particle(name: str) -> FloatArray:
    """Return the positions of a particle, `atoms x 3`, in units of the lattice constant.

    Raises
    ------
    UsageError
        If the shape is unknown, or no particle of it has so many atoms; the message
        gives the numbers next to it.
    """
    found = re.fullmatch(r"(.*?)_?(\d+)", name)
    prefix, atoms = (found[1], int(found[2])) if found else (name, 0)
    if prefix not in (*NAMED_SHAPES, TRUNCATED):
        known = ", ".join((*NAMED_SHAPES, TRUNCATED))
        raise UsageError(
            f"no particle {name!r}: a name is a shape and a number of atoms, as to38 or "
            f"hemi111_13; shapes are {known}"
        )
    if atoms > MOST_ATOMS:
        raise UsageError(f"{name}: particles have up to {MOST_ATOMS} atoms")
    sizes: list[int] = []
    for positions in _series(prefix, atoms):
        if len(positions) == atoms:
            return positions
        sizes.append(len(positions))
    below = max((n for n in sizes if n < atoms), default=None)
    above = min((n for n in sizes if n > atoms), default=None)
    near = " or ".join(f"{prefix}{n}" for n in (below, above) if n is not None)
    raise UsageError(f"no {name}: that shape has no {atoms} atoms; next is {near}")


def _series(prefix: str, atoms: int) -> Iterator[FloatArray]:
    """Yield particles of a shape, up to the first that has more atoms than wanted."""
    if prefix == TRUNCATED:
        edges = takewhile(lambda edge: edge**3 <= 6 * atoms, count(3))
        for edge in edges:
            for cut in range(1, (edge + 1) // 2):
                yield truncated_octahedron(edge, cut)
        return
    for n in count(1):
        positions = cluster(NAMED_SHAPES[prefix], n)
        yield positions
        if len(positions) >= atoms:
            return


def read_xyz(path: Path, element: str, lattice_a: float) -> FloatArray:
    """Read an XYZ file in ångström as positions in units of the lattice constant.

    Raises
    ------
    UsageError
        If the file cannot be read as `atoms`, a comment and a line per atom, or holds
        another element.
    """
    try:
        head, _, *lines = path.read_text().splitlines()
        words = [line.split() for line in lines[: int(head)]]
        positions = np.array([each[1:4] for each in words], float)
        if positions.shape != (int(head), 3) or not np.isfinite(positions).all():
            raise ValueError(f"{head} atoms announced, {len(words)} found")
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise UsageError(f"{path} is no XYZ file: {error}") from error
    others = {each[0] for each in words} - {element}
    if others:
        raise UsageError(
            f"{path} holds {', '.join(sorted(others))}: a library is of {element} alone"
        )
    return positions / lattice_a


def cut_out(positions: FloatArray, atom: int, radius: float) -> FloatArray:
    """Return an atom's surroundings, itself first at the origin, nearest next."""
    relative = positions - positions[atom]
    distance = np.linalg.norm(relative, axis=1)
    near = np.flatnonzero(distance <= radius)
    return relative[near[np.argsort(distance[near], kind="stable")]]
