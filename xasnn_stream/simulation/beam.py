"""The beam and its counts: it decays, flickers, and is absorbed on its way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from xasnn_stream.simulation.absorption import Absorber

TRANSPARENT = Absorber(np.array([0.0]), np.array([0.0]))


@dataclass(frozen=True, slots=True)
class BeamSettings:
    """What the source and the chambers are like.

    `flux` in counts/s before the sample gives 0.2 % of the edge step per eV behind a
    sample of μt = 1.4 with 0.25 s/eV. `lifetime_s` is the decay of the stored current,
    `flicker` the relative rms from point to point, `dark` the rate without beam.
    """

    flux: float = 5e6
    lifetime_s: float = 3e4
    flicker: float = 2e-3
    dark: Mapping[str, float] = field(
        default_factory=lambda: {"i0": 2e4, "it": 1e4, "ir": 5e3}
    )


class SimulatedBeam:
    """A beam through a sample and then a foil, counted with Poisson statistics.

    It owns what changes: what stands in the beam, the seconds of beam used so far (the
    exposures; nothing waits for them) and the random numbers.
    """

    def __init__(
        self, rng: np.random.Generator, settings: BeamSettings | None = None
    ) -> None:
        self.sample = TRANSPARENT
        self.foil = TRANSPARENT
        self._settings = settings or BeamSettings()
        self._rng = rng
        self._used_s = 0.0

    def expose(
        self, energy_ev: float, dwell_s: float, beam: bool
    ) -> Mapping[str, float]:
        """Return the readings of `i0`, `it`, `ir`, dark current included, counts/s."""
        self._used_s += dwell_s
        settings = self._settings
        flux = settings.flux * float(np.exp(-self._used_s / settings.lifetime_s))
        flux *= 1.0 + settings.flicker * self._rng.normal()
        behind_sample = flux * float(np.exp(-self.sample.at(energy_ev)))
        behind_foil = behind_sample * float(np.exp(-self.foil.at(energy_ev)))
        rates = {"i0": flux, "it": behind_sample, "ir": behind_foil}
        return {
            channel: self._count(rate * beam + settings.dark[channel], dwell_s)
            for channel, rate in rates.items()
        }

    def _count(self, rate: float, dwell_s: float) -> float:
        return self._rng.poisson(max(rate, 0.0) * dwell_s) / dwell_s
