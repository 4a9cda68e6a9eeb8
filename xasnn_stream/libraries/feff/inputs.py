"""`feff.inp`: written for one site, and read back for the structure it holds."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xasnn_stream.edges import ELEMENTS
from xasnn_stream.errors import LibraryError
from xasnn_stream.libraries.feff.settings import Part, Settings
from xasnn_stream.spectrum import FloatArray

INPUT = "feff.inp"
FMS_CARD = re.compile(r"^\s*FMS\s", re.MULTILINE)
ALL_MODULES = "1 1 1 1 1 1"
AFTER_POTENTIALS = "0 0 1 1 1 1"
"""Multiple scattering and spectrum alone: potentials and phases lie in the folder."""

_FIRST_TABULATED = 3
"""Atomic number of lithium, the first element with tabulated edges."""

_NO_PATHS_RADIUS = 0.1
"""Å; scattering is summed to all orders, no path is added to it."""


def feff_input(
    title: str,
    element: str,
    edge: str,
    atoms: FloatArray,
    chosen: Settings,
    part: Part,
    modules: str = ALL_MODULES,
) -> str:
    """Return the input of one site.

    `atoms` is `atoms x 3` in Å, the absorber first. One potential is that of the
    absorber, another that of all other atoms.
    """
    lmax = f"{chosen.lmax_scf} {part.lmax}"
    lines = [
        f"TITLE {title}",
        f"EDGE {edge}",
        f"S02 {chosen.s02}",
        f"CONTROL {modules}",
        "PRINT 0 0 0 0 0 0",
        f"EXCHANGE {chosen.exchange}",
        f"SCF {chosen.scf}",
        f"COREHOLE {chosen.corehole}",
        f"XANES {chosen.xanes}",
        f"FMS {part.radius:.4f} 0",
        f"RPATH {_NO_PATHS_RADIUS}",
        *_structure(element, atoms, f"{lmax} 0.01", f"{lmax} 100"),
    ]
    return "\n".join(lines)


def paths_input(
    title: str, element: str, edge: str, atoms: FloatArray, radius: float
) -> str:
    """Return the input for the scattering paths of one site up to `radius` Å.

    Potentials of overlapping atoms, as usual for EXAFS; FEFF8-lite can run it.
    """
    lines = [
        f"TITLE {title}",
        f"EDGE {edge}",
        "S02 1.0",
        f"CONTROL {ALL_MODULES}",
        "PRINT 0 0 0 0 0 3",
        "EXCHANGE 0 0.0 0.0",
        "EXAFS 20",
        f"RPATH {radius:.4f}",
        *_structure(element, atoms, "", ""),
    ]
    return "\n".join(lines)


def _structure(
    element: str, atoms: FloatArray, absorber: str, others: str
) -> list[str]:
    """Return the cards of potentials and atoms."""
    number = ELEMENTS.index(element) + _FIRST_TABULATED
    distance = np.linalg.norm(atoms - atoms[0], axis=1)
    return [
        "POTENTIALS",
        f" 0 {number} {element} {absorber}".rstrip(),
        f" 1 {number} {element} {others}".rstrip(),
        "ATOMS",
        *(
            f" {x:10.5f} {y:10.5f} {z:10.5f} {min(i, 1)} {element} {r:.5f}"
            for i, ((x, y, z), r) in enumerate(zip(atoms, distance, strict=True))
        ),
        "END",
        "",
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What an input asks for: atoms (`atoms x 3`, Å), the absorber first.

    `fms_radius` (Å) is None without an FMS card, `lmax` -1 where the program chooses.
    """

    atoms: FloatArray
    fms_radius: float | None
    lmax: int


def read_input(path: Path) -> Given:
    """Read the structure and the multiple scattering an input asks for.

    Raises
    ------
    LibraryError
        If it does not name one absorber among its atoms.
    """
    atoms: list[tuple[float, ...]] = []
    absorber: list[int] = []
    cards: dict[str, list[str]] = {}
    section, lmax = "", -1
    for line in path.read_text(errors="replace").splitlines():
        words = line.split("!")[0].split()
        if not words or words[0].startswith("*"):
            continue
        head = words[0].upper()
        if head[0].isalpha():
            section, cards[head] = head, words[1:]
        elif section == "ATOMS" and len(words) > 3:
            if words[3] == "0":
                absorber.append(len(atoms))
            atoms.append(tuple(float(word) for word in words[:3]))
        elif section == "POTENTIALS" and words[0] == "0" and len(words) > 4:
            lmax = int(words[4])
    if len(absorber) != 1:
        raise LibraryError(f"{path} names {len(absorber)} absorbers (ipot 0), not one")
    positions = np.array(atoms)
    order = np.roll(np.arange(len(atoms)), -absorber[0])
    fms = cards.get("FMS")
    return Given(positions[order], float(fms[0]) if fms else None, lmax)
