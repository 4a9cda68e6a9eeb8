"""Coordination numbers as functions of size, for every family of shapes."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.size.table import MOST_ATOMS_FLAT
from xasnn_stream.spectrum import FloatArray

SIZES = 160
"""Sizes per family, evenly in the logarithm of the atoms: steps of 6 % at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Families:
    """Curves of all families: `atoms` and `across` are `families x sizes`.

    Sizes are evenly spaced in log atoms, from the smallest cluster of a family to its
    largest; between the clusters that were counted is interpolated linearly in log
    atoms. `across` is from edge to edge, in lattice constants; `cn` is
    `families x sizes x 4`. Families that are not `flat` (`families`) approach the
    crystal as they grow, up to 10 nm.
    """

    names: tuple[str, ...]
    flat: NDArray[np.bool_]
    atoms: FloatArray
    across: FloatArray
    cn: FloatArray


@cache
def families() -> Families:
    """Read the table of counted clusters that comes with the package."""
    text = (resources.files("xasnn_stream.size") / "families.csv").read_text("utf-8")
    _, *rows = csv.reader(text.splitlines())
    names = tuple(dict.fromkeys(row[0] for row in rows))
    curves = [
        _curve(np.array([row[1:] for row in rows if row[0] == name], float))
        for name in names
    ]
    atoms, across, cn = (np.stack(part) for part in zip(*curves, strict=True))
    flat = np.array([name in MOST_ATOMS_FLAT for name in names])
    return Families(names, flat, atoms, across, cn)


def _curve(counted: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    known: FloatArray = np.log(counted[:, 0])
    at = np.asarray(np.linspace(known[0], known[-1], SIZES), float)
    columns: list[FloatArray] = [
        np.interp(at, known, column) for column in counted.T[1:]
    ]
    return np.exp(at), columns[0], np.stack(columns[1:], -1)
