"""Positions of the atoms of metal particles, and their coordination numbers.

Every shape is a series of clusters, counted by `n_shells` from 1. Positions are in units
of the lattice constant a of the fcc crystal, neighbours being 1/√2 apart. Lattice points
are handled as integers, in half lattice constants, so that no rounding decides whether
an atom belongs to a cluster.
"""

import math
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.errors import UsageError
from xasnn_stream.spectrum import FloatArray

NEIGHBOUR = 1 / math.sqrt(2)
"""Distance of nearest neighbours."""

SHELL_EDGES = (0.30, 0.86, 1.12, 1.33, 1.50)
"""Between which distances the four shells lie, in units of a: above the first of two up
to and with the second."""

_Points = NDArray[np.int64]


def cluster(shape: str, n_shells: int) -> FloatArray:
    """Return a cluster's positions, `atoms x 3`, in units of the lattice constant.

    | shape | counted are | atoms |
    |---|---|---|
    | cuboctahedron, icosahedron | layers about an atom | 13, 55, 147 |
    | octahedron | neighbours along an edge | 6, 19, 44 |
    | truncated octahedron | three less than neighbours and ends along the whole edge; \
      cut off is a third of it | 38, 79, 116, 201 |
    | cube | lattice constants along an edge | 14, 63, 172 |
    | sphere, hole sphere | shells about an atom, about an octahedral hole | 13, 19; 6, 14 |
    | cap on (111), cap on (100) | shells about an atom of the flat face | 10, 13; 9, 14 |
    | raft, double raft | shells about an axis, one or two (111) layers | 7, 13; 4, 10 |
    | decahedron | neighbours along an edge, five tetrahedra about one | 7, 23, 54 |
    | hcp sphere | shells about an atom, ideal c/a | 13, 19, 21 |

    An icosahedron's radial distances are those of the crystal, its tangential ones 5 %
    longer (Mackay, Acta Cryst. 15, 916 (1962)); in a decahedron those across the twinned
    tetrahedra are 2 % longer.

    Raises
    ------
    UsageError
        If the shape is none of `SHAPES` or there are fewer shells than one.
    """
    if shape not in _MAKERS:
        raise UsageError(f"no shape {shape!r}; there are: {', '.join(_MAKERS)}")
    if n_shells < 1:
        raise UsageError(f"{shape} of {n_shells} shells; the smallest has 1")
    return _MAKERS[shape](n_shells)


def coordination(positions: FloatArray) -> FloatArray:
    """Return every atom's neighbours in the shells of `SHELL_EDGES`, `atoms x 4`.

    `positions` is `atoms x 3`, in units of the lattice constant.
    """
    reach = SHELL_EDGES[-1]
    columns: dict[tuple[int, int], list[int]] = {}
    for atom, (x, y) in enumerate(np.floor(positions[:, :2] / reach).astype(int)):
        columns.setdefault((int(x), int(y)), []).append(atom)
    found = np.zeros((len(positions), len(SHELL_EDGES) - 1))
    for (x, y), atoms in columns.items():
        beside = [(x + dx, y + dy) for dx, dy in product((-1, 0, 1), repeat=2)]
        near = positions[[atom for place in beside for atom in columns.get(place, [])]]
        apart = np.linalg.norm(positions[atoms, None] - near, axis=-1)
        within = [(apart <= edge).sum(1) for edge in SHELL_EDGES]
        found[atoms] = np.diff(np.stack(within, -1), axis=-1)
    return found


def truncated_octahedron(edge: int, cut: int) -> FloatArray:
    """Return an octahedron of `edge` atoms along an edge, less `cut` layers per corner.

    `atoms x 3`, in units of the lattice constant; (6, 1) has 140 atoms.
    """
    points = _lattice(edge - 1, parity=edge - 1)
    whole = np.abs(points).sum(1) <= edge - 1
    kept = np.abs(points).max(1) <= edge - 1 - cut
    return points[whole & kept] / 2


def crystal(radius: float) -> FloatArray:
    """Return the fcc crystal within `radius` of an atom at the origin, `atoms x 3`.

    In units of the lattice constant.
    """
    points = _lattice(math.ceil(2 * radius)) / 2
    return points[np.linalg.norm(points, axis=1) <= radius]


def _lattice(reach: int, parity: int = 0) -> _Points:
    """Return lattice points up to `reach` half lattice constants along each axis.

    The origin is an atom where `parity` is even, else an octahedral hole.
    """
    axis = np.arange(-reach, reach + 1)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return points[(points.sum(1) - parity) % 2 == 0]


def _first_shells(n: int, squared: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which points lie in the first n shells after the origin."""
    distances = np.unique(squared[squared > 0])
    return squared <= distances[n - 1]


def _ball(n: int, parity: int) -> _Points:
    # Squares of distances are even (odd about a hole), and of these few do not occur.
    reach = math.isqrt(3 * n) + 3
    points = _lattice(reach, parity)
    points = points[(points**2).sum(1) <= reach**2]
    return points[_first_shells(n, (points**2).sum(1))]


def _sphere(n: int) -> FloatArray:
    return _ball(n, 0) / 2


def _hole_sphere(n: int) -> FloatArray:
    return _ball(n, 1) / 2


def _cap_111(n: int) -> FloatArray:
    points = _ball(n, 0)
    return points[points.sum(1) >= 0] / 2


def _cap_100(n: int) -> FloatArray:
    points = _ball(n, 0)
    return points[points[:, 2] >= 0] / 2


def _disc(n: int, layers: int) -> FloatArray:
    # Of the integers that a square may be, about one in four occurs.
    reach = math.isqrt(10 * n) + 6
    points = _lattice(reach)
    # Neighbouring (111) layers differ by 2 in the sum of their integers.
    height = points.sum(1)
    inside = (points**2).sum(1) <= reach**2
    kept = inside & (height >= 0) & (height < 2 * layers)
    points, height = points[kept], height[kept]
    squared = 3 * (points**2).sum(1) - height**2
    return points[_first_shells(n, squared)] / 2


def _raft(n: int) -> FloatArray:
    return _disc(n, 1)


def _double_raft(n: int) -> FloatArray:
    return _disc(n, 2)


def _cuboctahedron(n: int) -> FloatArray:
    return truncated_octahedron(2 * n + 1, n)


def _octahedron(n: int) -> FloatArray:
    return truncated_octahedron(n + 1, 0)


def _truncated_octahedron(n: int) -> FloatArray:
    edge = n + 3
    return truncated_octahedron(edge, round((edge - 1) / 3))


def _cube(n: int) -> FloatArray:
    return _lattice(n, parity=3 * n) / 2


def _icosahedron(n: int) -> FloatArray:
    golden = (1 + math.sqrt(5)) / 2
    corners = np.array(
        [
            np.roll((0.0, one, other), turn)
            for turn in range(3)
            for one in (-1.0, 1.0)
            for other in (-golden, golden)
        ]
    )
    corners /= np.linalg.norm(corners[0])
    angles = np.linalg.norm(corners[:, None] - corners, axis=-1)
    joined = (angles > 0) & (angles < 1.1 * angles[angles > 0].min())
    faces = [
        (i, j, k)
        for i, j, k in product(range(12), repeat=3)
        if i < j < k and joined[i, j] and joined[j, k] and joined[i, k]
    ]
    places: list[FloatArray] = [np.zeros(3)]
    for shell in range(1, n + 1):
        shares = [
            (i, j, shell - i - j)
            for i in range(shell + 1)
            for j in range(shell + 1 - i)
        ]
        places += [np.array(s) @ corners[list(f)] for f in faces for s in shares]
    # Faces share edges and corners.
    return np.asarray(np.unique(np.round(places, 9), axis=0), float) * NEIGHBOUR


def _decahedron(n: int) -> FloatArray:
    angle = 2 * math.pi * np.arange(6) / 5
    spokes = np.stack((np.cos(angle), np.sin(angle)), -1) * math.sqrt(3) / 2
    places: list[tuple[float, float, float]] = []
    for i, j in product(range(n + 1), repeat=2):
        if i + j > n:
            continue
        atoms = n + 1 - i - j
        heights = np.arange(atoms) - (atoms - 1) / 2
        # The column of a sector, its second spoke being the next sector's first.
        sectors = [0] if i + j == 0 else range(5) if i > 0 else []
        for sector in sectors:
            x, y = i * spokes[sector] + j * spokes[sector + 1]
            places += [(float(x), float(y), float(z)) for z in heights]
    return np.array(places) * NEIGHBOUR


def _hcp_sphere(n: int) -> FloatArray:
    # Ideal hcp in units of a neighbour's distance; twelve times the square of every
    # distance is a whole number.
    reach = math.isqrt(n) + 4
    axis = np.arange(-reach, reach + 1)
    i, j, k = (a.ravel() for a in np.meshgrid(axis, axis, axis, indexing="ij"))
    odd = k % 2
    x, y = i + j / 2 + odd / 2, (j + odd / 3) * math.sqrt(3) / 2
    points = np.asarray(np.stack((x, y, k * math.sqrt(2 / 3)), -1), float)
    squared: _Points = np.rint(12 * np.square(points).sum(1)).astype(np.int64)
    inside = squared <= 6 * reach**2
    kept: FloatArray = points[inside][_first_shells(n, squared[inside])]
    return kept * NEIGHBOUR


_MAKERS: dict[str, Callable[[int], FloatArray]] = {
    "cuboctahedron": _cuboctahedron,
    "truncated octahedron": _truncated_octahedron,
    "octahedron": _octahedron,
    "cube": _cube,
    "sphere": _sphere,
    "hole sphere": _hole_sphere,
    "cap on (111)": _cap_111,
    "cap on (100)": _cap_100,
    "raft": _raft,
    "double raft": _double_raft,
    "icosahedron": _icosahedron,
    "decahedron": _decahedron,
    "hcp sphere": _hcp_sphere,
}

SHAPES = tuple(_MAKERS)
"""What `cluster` makes."""
