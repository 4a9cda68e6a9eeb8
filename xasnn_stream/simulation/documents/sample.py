"""What stands in the beam: a sample that changes from sweep to sweep, and a foil."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.errors import UsageError
from xasnn_stream.library import BULK, Library, form, read_library
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.simulation.absorption import Absorber, Thickness, absorption
from xasnn_stream.simulation.documents.truth import Direction, Mode, Order, Truth
from xasnn_stream.simulation.nuisances import NO_SCAN_ERROR, NO_THEORY_ERROR
from xasnn_stream.spectrum import FloatArray

LIBRARIES = {"Pt": "Pt_L3.npz", "Pd": "Pd_K.npz", "Au": "Au_L3.npz"}
FIRST_PARTICLE, LAST_PARTICLE = "cubo13", "cubo55"

FLUORESCENCE = 0.02
"""Of the photons absorbed, those that the fluorescence detector sees."""

BEFORE_EDGE_EV, BEHIND_EDGE_EV = 150.0, 420.0
"""How far a scan goes."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """μt of a sample that goes from `first` to `last` in a series, and of a foil.

    `share` is how far the series went, 0 to 1: a mixture, linear in it.
    """

    element: str
    edge: str
    edge_ev: float
    first: Absorber
    last: Absorber
    foil: Absorber

    @property
    def limits_ev(self) -> tuple[float, float]:
        """The first and the last energy of a scan up."""
        return self.edge_ev - BEFORE_EDGE_EV, self.edge_ev + BEHIND_EDGE_EV

    def mu(self, energy_ev: FloatArray, share: FloatArray | float) -> FloatArray:
        """Return the sample's μt at energies, `(points,)`; `share` is one or as many."""
        first = np.interp(energy_ev, self.first.energy_ev, self.first.mu)
        last = np.interp(energy_ev, self.last.energy_ev, self.last.mu)
        return (1.0 - share) * first + share * last

    def mu_foil(self, energy_ev: FloatArray) -> FloatArray:
        """Return the foil's μt at energies, `(points,)`."""
        return np.interp(energy_ev, self.foil.energy_ev, self.foil.mu)

    def truth(
        self,
        run: str,
        sweep: int,
        direction: Direction,
        mode: Mode,
        share: float,
        conditions: Mapping[str, float],
    ) -> Truth:
        """Return what is true of a sweep over the whole range, on the tables' nodes."""
        low, high = self.limits_ev
        nodes = self.first.energy_ev
        energy = nodes[(nodes > low - 5.0) & (nodes < high + 5.0)]
        mu = self.mu(energy, share)
        if mode == "fluorescence":
            mu = FLUORESCENCE * mu
        foil = self.mu_foil(energy)
        return Truth(run, sweep, direction, mode, energy, mu, foil, conditions)


def shares(order: Order) -> FloatArray:
    """Return how far the series went at every sweep."""
    return np.linspace(0.0, 1.0, order.sweeps) if order.sweeps > 1 else np.zeros(1)


def directions(order: Order) -> list[Direction]:
    """Return the directions of sweeps that go up and down."""
    return ["down" if sweep % 2 else "up" for sweep in range(order.sweeps)]


@cache
def sample_of(element: str) -> Sample:
    """Return the sample and the foil of an element.

    Raises
    ------
    UsageError
        If no library of the element is shipped.
    """
    if element not in LIBRARIES:
        raise UsageError(
            f"no spectra of {element} are shipped; there are {', '.join(LIBRARIES)}"
        )
    library = read_library(shipped_folder("models") / "libraries" / LIBRARIES[element])
    edge_ev = edge_energy_ev(library.element, library.edge)
    if edge_ev is None:
        raise UsageError(f"there is no {library.edge} edge of {element}")
    return Sample(
        element,
        library.edge,
        edge_ev,
        first=_absorber(library, edge_ev, FIRST_PARTICLE, Thickness(0.9, 0.35)),
        last=_absorber(library, edge_ev, LAST_PARTICLE, Thickness(1.1, 0.35)),
        foil=_absorber(library, edge_ev, BULK, Thickness(0.9, 0.2)),
    )


def _absorber(
    library: Library, edge_ev: float, particle: str, thickness: Thickness
) -> Absorber:
    return absorption(
        library,
        form(library, particle),
        edge_ev,
        theory=NO_THEORY_ERROR,
        scan=NO_SCAN_ERROR,
        thickness=thickness,
    )
