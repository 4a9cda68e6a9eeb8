"""How a spectrum is computed: two named sets of FEFF settings.

`library` is that of the site libraries: potentials of the crystal, made self-consistent
once per lattice scale and kept for every site, and full multiple scattering in two
ranges of energy. `tutorial` is the one of the Frenkel group's published FEFF10 helper:
a self-consistent potential for every site, one range.
"""

from collections.abc import Callable
from dataclasses import dataclass

from xasnn_stream.errors import UsageError


@dataclass(frozen=True, slots=True)
class Part:
    """Full multiple scattering within `radius` (Å) up to `lmax`, from `from_ev` on.

    `from_ev` is a photoelectron energy; an `lmax` of -1 leaves it to the program.
    """

    radius: float
    lmax: int
    from_ev: float


@dataclass(frozen=True, slots=True)
class Settings:
    """Cards of `feff.inp`; radii in Å.

    With `frozen`, potentials and cross section are those of the crystal.
    """

    name: str
    exchange: str
    scf: str
    corehole: str
    xanes: str
    s02: float
    lmax_scf: int
    frozen: bool
    parts: tuple[Part, ...]


def library_settings(lattice_a: float, edge: str) -> Settings:
    """Return the settings of the site libraries for a lattice constant in Å.

    No core hole at L edges: screened ones take the white line of 5d metals away.
    """
    return Settings(
        name="library",
        exchange="0 0.0 0.0 0",
        scf=f"{1.28 * lattice_a:.4f} 0 100 0.2 1",
        corehole="RPA" if edge == "K" else "NONE",
        xanes="6.0 0.07 0.0",
        s02=1.0,
        lmax_scf=3,
        frozen=True,
        parts=(
            Part(1.65 * lattice_a, 3, -1e6),
            Part(1.50 * lattice_a, 4, 20.0),
        ),
    )


def tutorial_settings(lattice_a: float, edge: str) -> Settings:
    """Return the settings of the published FEFF10 tutorial, whatever the lattice."""
    del lattice_a, edge
    return Settings(
        name="tutorial",
        exchange="0 1.0 0.0",
        scf="5.5 0 100 0.1 1",
        corehole="RPA",
        xanes="5 0.05 0.1",
        s02=0.9,
        lmax_scf=-1,
        frozen=False,
        parts=(Part(7.0, -1, -1e6),),
    )


_PRESETS: dict[str, Callable[[float, str], Settings]] = {
    "library": library_settings,
    "tutorial": tutorial_settings,
}


def settings(name: str, lattice_a: float, edge: str) -> Settings:
    """Return named settings for a lattice constant (Å) and an edge.

    Raises
    ------
    UsageError
        If there are none of that name.
    """
    if name not in _PRESETS:
        known = ", ".join(_PRESETS)
        raise UsageError(f"no FEFF settings {name!r}; there are: {known}")
    return _PRESETS[name](lattice_a, edge)
