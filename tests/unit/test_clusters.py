"""Clusters against magic numbers and against the site library's particles."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.clusters import (
    SHAPES,
    SHELL_EDGES,
    cluster,
    coordination,
    truncated_octahedron,
)
from xasnn_stream.errors import UsageError
from xasnn_stream.library import SHELL_BULK_CN, form, read_library

LIBRARY = Path(__file__).parents[2] / "models" / "libraries" / "Pt_L3.npz"

# Particles of the library by the shape and size that make them.
PARTICLES = {
    "oct6": ("octahedron", 1),
    "oct19": ("octahedron", 2),
    "oct85": ("octahedron", 4),
    "oct146": ("octahedron", 5),
    "cubo13": ("cuboctahedron", 1),
    "cubo147": ("cuboctahedron", 3),
    "cubo309": ("cuboctahedron", 4),
    "ico13": ("icosahedron", 1),
    "ico55": ("icosahedron", 2),
    "ico147": ("icosahedron", 3),
    "to38": ("truncated octahedron", 1),
    "to79": ("truncated octahedron", 2),
    "to201": ("truncated octahedron", 4),
    "to314": ("truncated octahedron", 5),
    "cube63": ("cube", 2),
    "cube172": ("cube", 3),
    "sphO_38": ("hole sphere", 3),
    "sphO_68": ("hole sphere", 4),
    "hemi111_13": ("cap on (111)", 2),
    "hemi111_83": ("cap on (111)", 7),
    "hemi100_14": ("cap on (100)", 2),
    "hemi100_34": ("cap on (100)", 4),
    "raft111x1_13": ("raft", 2),
    "raft111x2_25": ("double raft", 5),
    "raft111x2_40": ("double raft", 8),
    "deca23": ("decahedron", 2),
    "hcp_13": ("hcp sphere", 1),
    "hcp_19": ("hcp sphere", 2),
}


@pytest.mark.parametrize("name", PARTICLES)
def test_a_particle_of_the_library_has_the_library_s_coordination(name: str) -> None:
    index = json.loads((LIBRARY.parent / "particles.json").read_text())
    positions = cluster(*PARTICLES[name])
    assert len(positions) == index["particles"][name]["natoms"]
    truth = form(read_library(LIBRARY), name).cn
    np.testing.assert_allclose(coordination(positions).mean(0), truth, atol=1e-9)


def test_magic_numbers_follow_their_formulas() -> None:
    for n in (1, 2, 5, 8):
        layers = (10 * n**3 + 15 * n**2 + 11 * n + 3) // 3
        assert len(cluster("cuboctahedron", n)) == layers
        assert len(cluster("icosahedron", n)) == layers
        assert len(cluster("octahedron", n)) == (n + 1) * (2 * (n + 1) ** 2 + 1) // 3
        assert len(cluster("cube", n)) == 4 * n**3 + 6 * n**2 + 3 * n + 1
    # Regular truncated octahedra: edges of three times as many neighbours as are cut.
    for n in (1, 2, 3):
        regular = 16 * n**3 + 15 * n**2 + 6 * n + 1
        assert len(truncated_octahedron(3 * n + 1, n)) == regular


def test_the_middle_of_a_large_cluster_is_bulk() -> None:
    positions = cluster("sphere", 40)
    inner = np.linalg.norm(positions, axis=1) < 1.5
    found = coordination(positions)[inner]
    np.testing.assert_array_equal(found, np.broadcast_to(SHELL_BULK_CN, found.shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_clusters_grow_with_their_shells_and_no_atoms_meet(shape: str) -> None:
    sizes = [len(cluster(shape, n)) for n in range(1, 13)]
    assert sizes == sorted(set(sizes))
    positions = cluster(shape, 3)
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)
    nearest = apart[apart > 0].min()
    assert nearest == pytest.approx(1 / math.sqrt(2))


def test_neighbours_are_counted_alike_from_both_sides() -> None:
    positions = cluster("icosahedron", 3)
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)
    within = [(apart <= edge).sum(1) for edge in SHELL_EDGES]
    counted = np.diff(np.stack(within, -1), axis=-1)
    np.testing.assert_array_equal(coordination(positions), counted)


def test_an_unknown_shape_is_answered_with_the_shapes_there_are() -> None:
    with pytest.raises(UsageError, match="cuboctahedron"):
        cluster("doughnut", 1)
    with pytest.raises(UsageError, match="smallest has 1"):
        cluster("cube", 0)
