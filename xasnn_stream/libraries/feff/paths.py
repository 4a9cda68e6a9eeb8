"""`feffNNNN.dat`: single scattering paths, for EXAFS."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xasnn_stream.errors import LibraryError
from xasnn_stream.spectrum import FloatArray

PATTERN = "feff[0-9][0-9][0-9][0-9].dat"
COLUMNS = ("k", "real_2phc", "mag_feff", "phase_feff", "red_factor", "lambda", "real_p")
"""FEFF's own columns; k and p in 1/Å, λ in Å."""

_HEAD = "nleg, deg, reff"
_TABLE = "real[2*phc]"


@dataclass(frozen=True, slots=True, eq=False)
class ScatteringPath:
    """One path: `degeneracy` times over `nleg` legs, half of their length `reff` (Å).

    `atoms` (`legs x 3`, Å) are where it scatters, the absorber first; `table` is
    `points x 7`, see `COLUMNS`.
    """

    number: int
    nleg: int
    degeneracy: float
    reff: float
    atoms: FloatArray
    table: FloatArray


def read_paths(folder: Path) -> tuple[ScatteringPath, ...]:
    """Read all paths of a calculation.

    Raises
    ------
    LibraryError
        If there are none, or one cannot be read.
    """
    files = sorted(folder.glob(PATTERN))
    if not files:
        raise LibraryError(f"{folder} holds no feffNNNN.dat")
    return tuple(read_path(file) for file in files)


def read_path(file: Path) -> ScatteringPath:
    """Read one path.

    Raises
    ------
    LibraryError
        If it is no such file.
    """
    try:
        lines = file.read_text(errors="replace").splitlines()
        head = next(i for i, line in enumerate(lines) if _HEAD in line)
        start = next(i for i, line in enumerate(lines) if _TABLE in line)
        nleg, degeneracy, reff = (float(word) for word in lines[head].split()[:3])
        atoms = [line.split()[:3] for line in lines[head + 2 : start]]
        rows = [line.split() for line in lines[start + 1 :] if line.strip()]
        table, positions = np.array(rows, float), np.array(atoms, float)
        if table.ndim != 2 or table.shape[1] != len(COLUMNS) or len(atoms) != nleg:
            raise ValueError(
                f"{len(atoms)} atoms of {nleg:g} legs, table {table.shape}"
            )
    except (OSError, StopIteration, ValueError) as error:
        raise LibraryError(f"{file} is no scattering path of FEFF: {error}") from error
    number = int(file.stem[-4:])
    return ScatteringPath(number, int(nleg), degeneracy, reff, positions, table)
