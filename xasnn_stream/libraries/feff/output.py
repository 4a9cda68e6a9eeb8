"""`xmu.dat`: the spectrum FEFF computed, refused where full multiple scattering is not in.

Programs of the FEFF6 and FEFF8-lite family read an input with XANES and FMS cards without
a word and write an `xmu.dat` of single paths (EXAFS) that looks like any other. FEFF's
`ff2x` adds the first line of `fms.bin`, `FMS rfms= …`, to the header of `xmu.dat` where
multiple scattering was computed; a program without it cannot. Where that line is lost,
fine structure without a single path can only come from multiple scattering.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xasnn_stream.errors import LibraryError
from xasnn_stream.spectrum import FloatArray

SPECTRUM = "xmu.dat"

_FMS = re.compile(r"FMS\s+rfms=\s*([\d.]+)", re.IGNORECASE)
_FERMI = re.compile(r"\bMu=\s*([-+\d.Ee]+)")
_USED = re.compile(r"(\d+)\s*/\s*(\d+)\s+paths used")
_PROGRAM = re.compile(r"\b(Feff\s?\S+(?:\s\(EXAFS\))?)", re.IGNORECASE)
_COLUMNS = 6
_LEAST_POINTS = 20
_TINY_CHI = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """One computed spectrum on FEFF's own grid; all arrays are `points`.

    `energy` is the photoelectron's, eV; the absolute energy is `energy + offset`. `mu`
    and `background` (without neighbours) are over the cross section 50 eV above the
    edge. `fermi` is the Fermi level, eV, on the scale of `energy`.
    """

    energy: FloatArray
    offset: float
    mu: FloatArray
    background: FloatArray
    fermi: float


def read_spectrum(path: Path) -> Computed:
    """Read an `xmu.dat` in which full multiple scattering is.

    Raises
    ------
    LibraryError
        If it is no such file, is cut, or its program ignored the FMS card.
    """
    try:
        lines = path.read_text(errors="replace").splitlines()
        header = [line for line in lines if line.lstrip().startswith("#")]
        rows = [line.split() for line in lines if line.strip() and line not in header]
        table = np.array(rows, float)
    except (OSError, ValueError) as error:
        raise LibraryError(f"{path} is no spectrum of FEFF: {error}") from error
    if table.ndim != 2 or table.shape[1] != _COLUMNS or len(table) < _LEAST_POINTS:
        raise LibraryError(
            f"{path} is no spectrum of FEFF: {_COLUMNS} columns and at least "
            f"{_LEAST_POINTS} rows expected, found {table.shape}"
        )
    omega, energy, k, mu, background, chi = table.T
    if not np.isfinite(table).all() or (np.diff(energy) <= 0).any():
        raise LibraryError(f"{path}: energies do not ascend, or values are not finite")
    text = "\n".join(header)
    _refuse_without_fms(path, text, chi, float(energy[0]))
    return Computed(
        energy=energy,
        offset=float(np.mean(omega - energy)),
        mu=mu,
        background=background,
        fermi=_fermi(path, text, energy, k),
    )


def _fermi(path: Path, header: str, energy: FloatArray, k: FloatArray) -> float:
    """Return the Fermi level: the header's, else where k changes its sign."""
    found = _FERMI.search(header)
    if found is not None:
        return float(found[1])
    if not k[0] < 0 < k[-1]:
        raise LibraryError(f"{path} tells no Fermi level, by Mu= in its header or by k")
    return float(np.interp(0.0, k, energy))


def _refuse_without_fms(
    path: Path, header: str, chi: FloatArray, first_ev: float
) -> None:
    """Raise LibraryError unless full multiple scattering is in a spectrum."""
    named, used = _FMS.search(header), _USED.search(header)
    beside = path.with_name("fms.bin")
    if named is None and beside.exists():
        with beside.open("rb") as file:
            named = _FMS.search(file.readline(80).decode("ascii", "replace"))
    pathless = used is not None and int(used[1]) == 0
    if named is not None and float(named[1]) > 0:
        return
    if pathless and float(np.abs(chi).max()) > _TINY_CHI:
        return
    program = _PROGRAM.search(header)
    by = program[1].strip() if program else "its program"
    paths = f" and sums {used[1]} paths" if used and not pathless else ""
    raise LibraryError(
        f"{path}: {by} ignored the FMS card: the header names no full multiple "
        f"scattering (FMS rfms=){paths}. This is EXAFS, from {first_ev:.1f} eV on, no "
        f"XANES; use FEFF 8.4 or newer with its fms module"
    )
