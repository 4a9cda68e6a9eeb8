"""The simulated Pt L3 beamline: devices, beam and what stands in it, in one place."""

from dataclasses import dataclass, replace

import numpy as np

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.errors import LibraryError
from xasnn_stream.library import BULK, Library, form
from xasnn_stream.simulation.absorption import Absorber, Thickness, absorption
from xasnn_stream.simulation.beam import SimulatedBeam
from xasnn_stream.simulation.devices import (
    CHANNELS,
    READBACK_ERROR_EV,
    EnergyAxis,
    IonChambers,
    Photons,
    Shutter,
)
from xasnn_stream.simulation.nuisances import Scan, Theory, draw_scan, draw_theory
from xasnn_stream.simulation.plans import (
    Plan,
    Station,
    edge_regions,
    xas_step_scan,
)
from xasnn_stream.simulation.story import Chapter

FOIL = Thickness(edge_step=0.9, background=0.2)
"""About 5 µm of Pt."""


def build_station(
    photons: Photons,
    *,
    channels: tuple[str, ...] = CHANNELS,
    readback_error_ev: float = READBACK_ERROR_EV,
    rng: np.random.Generator | None = None,
) -> Station:
    """Build the devices around whatever provides the photons."""
    energy = EnergyAxis(rng=rng, readback_error_ev=readback_error_ev)
    shutter = Shutter(name="shutter")
    chambers = IonChambers(
        energy=energy,
        shutter=shutter,
        photons=photons,
        read_attrs=list(channels),
    )
    return Station(energy, chambers, shutter)


@dataclass(frozen=True, slots=True)
class Draws:
    """Random generators of a series, one per subject so that none shifts another."""

    theory: np.random.Generator
    scans: np.random.Generator
    story: np.random.Generator
    beam: np.random.Generator
    axis: np.random.Generator


def seeded(seed: int) -> Draws:
    """Return independent generators that a seed reproduces."""
    return Draws(*np.random.default_rng(seed).spawn(5))


class Beamline:
    """One beamtime: a station, the error of theory it shares, and its scans.

    Every scan draws its own errors; the foil in the reference position sees the same
    monochromator as the sample in front of it.
    """

    def __init__(self, library: Library, draws: Draws) -> None:
        self._library = library
        self._edge_ev = _edge_of(library)
        self._draws = draws
        self._theory: Theory = draw_theory(draws.theory)
        self._beam = SimulatedBeam(draws.beam)
        self.station = build_station(self._beam, rng=draws.axis)

    def foil_scan(self) -> Plan:
        """Plan: one sweep of the foil itself, where samples stand."""
        self._beam.sample = self._foil(self._place_reference_foil())
        metadata = {"temperature_k": 300.0, "purpose": "reference foil"}
        return (yield from self._scan("Pt foil", metadata))

    def sweep(self, chapter: Chapter) -> Plan:
        """Plan: one sweep of a story; the truth is in the start's `simulation`."""
        self._beam.sample = absorption(
            self._library,
            chapter.formed,
            self._edge_ev,
            theory=self._theory,
            scan=self._place_reference_foil(),
            condition=chapter.condition,
        )
        metadata = {
            "temperature_k": chapter.temperature_k,
            "simulation": {
                "truth": chapter.truth,
                "parts": [[name, share] for name, share in chapter.parts],
            },
        }
        return (yield from self._scan(chapter.sample, metadata))

    def _place_reference_foil(self) -> Scan:
        """Put the foil behind the sample; return the errors of the sample's scan.

        One monochromator moves both; their normalizations err apart.
        """
        sample, foil = draw_scan(self._draws.scans), draw_scan(self._draws.scans)
        self._beam.foil = self._foil(replace(foil, shift_ev=sample.shift_ev))
        return sample

    def _foil(self, scan: Scan) -> Absorber:
        return absorption(
            self._library,
            form(self._library, BULK, 1.0),
            self._edge_ev,
            theory=self._theory,
            scan=scan,
            thickness=FOIL,
        )

    def _scan(self, sample: str, metadata: dict[str, object]) -> Plan:
        return xas_step_scan(
            self.station,
            edge_regions(self._edge_ev),
            element=self._library.element,
            edge=self._library.edge,
            sample=sample,
            metadata=metadata,
        )


def _edge_of(library: Library) -> float:
    """Return the tabulated edge energy a library refers to, eV."""
    edge_ev = edge_energy_ev(library.element, library.edge)
    if edge_ev is None:
        raise LibraryError(f"there is no {library.edge} edge of {library.element}")
    return edge_ev
