"""The reference foil: a named, hashed input read from a column file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xasnn_stream.errors import FoilError
from xasnn_stream.physics.signals import merge_duplicates, transmission
from xasnn_stream.spectrum import FloatArray

_MIN_POINTS = 20
_ABSORPTION = ("mu", "xmu", "mutrans", "murefer", "mu_ref")
"""Column names that hold absorption, in the order they are looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Foil:
    """Absorption of a reference foil: `energy_ev` and `mu`, each `(points,)`, ascending.

    `sha256` is over both arrays as float64, so the same foil in another file format is
    the same foil.
    """

    name: str
    energy_ev: FloatArray
    mu: FloatArray
    sha256: str


def read_foil(path: str) -> Foil:
    """Read a foil from a column file: text with a line of column names, CSV or XDI.

    `path` may end in `#column` to name the absorption column; otherwise it is `mu`
    (or a usual synonym), else ln(i0/it).

    Raises
    ------
    FoilError
        If the file cannot be read as columns, or has no energy and absorption.
    """
    file, _, wanted = path.partition("#")
    columns = read_columns(Path(file))
    energy = columns.get("energy", columns.get("energy_ev"))
    if energy is None:
        raise FoilError(f"{file}: no column `energy`; it has {', '.join(columns)}")
    mu = _absorption(file, columns, wanted)
    good = np.isfinite(energy) & np.isfinite(mu)
    energy, mu = merge_duplicates(energy[good], mu[good])
    if len(energy) < _MIN_POINTS:
        raise FoilError(f"{file}: only {len(energy)} usable points for a foil")
    digest = hashlib.sha256(energy.tobytes() + mu.tobytes()).hexdigest()
    name = Path(file).name + (f"#{wanted}" if wanted else "")
    return Foil(name, energy, mu, digest)


def read_columns(path: Path) -> dict[str, FloatArray]:
    """Read named columns of a text file; `#` begins a comment or the column names.

    Names come from `# columns: a b c`, from XDI's `# Column.1: energy eV` lines, from
    the last comment line before the data, or from a header line.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="strict").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FoilError(f"{path} cannot be read as text columns: {error}") from error
    comments = [line.lstrip("#").strip() for line in lines if line.startswith("#")]
    body = [line for line in lines if line.strip() and not line.startswith("#")]
    rows = [line.replace(",", " ").split() for line in body]
    names = _column_names(comments)
    if rows and not _is_number(rows[0][0]):
        names, rows = [name.lower() for name in rows[0]], rows[1:]
    try:
        table = np.array(rows, float)
    except ValueError as error:
        raise FoilError(f"{path} is not a table of numbers: {error}") from error
    if table.ndim != 2 or table.shape[1] != len(names):
        raise FoilError(
            f"{path}: {len(names)} column names ({' '.join(names)}) for a table of shape "
            f"{table.shape}; name the columns in a line `# columns: energy mu`"
        )
    return dict(zip(names, table.T, strict=True))


def _absorption(file: str, columns: dict[str, FloatArray], wanted: str) -> FloatArray:
    if wanted:
        if wanted not in columns:
            raise FoilError(f"{file}: no column {wanted}; it has {', '.join(columns)}")
        return columns[wanted]
    for name in _ABSORPTION:
        if name in columns:
            return columns[name]
    if "i0" in columns and "it" in columns:
        with np.errstate(divide="ignore", invalid="ignore"):
            return transmission(columns["i0"], columns["it"])
    raise FoilError(
        f"{file}: no absorption; expected a column mu, or i0 and it, but found "
        f"{', '.join(columns)}"
    )


def _column_names(comments: list[str]) -> list[str]:
    for comment in comments:
        key, _, value = comment.partition(":")
        if key.strip().lower() == "columns":
            return value.lower().replace(",", " ").split()
    xdi = [
        comment.partition(":")[2].split()[0].lower()
        for comment in comments
        if comment.lower().startswith("column.")
    ]
    if xdi:
        return xdi
    return comments[-1].lower().replace(",", " ").split() if comments else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
