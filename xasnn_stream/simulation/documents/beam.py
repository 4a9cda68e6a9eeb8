"""The beam, and what it leaves in detectors: rates as functions of time."""

from dataclasses import dataclass

import numpy as np

from xasnn_stream.simulation.documents.sample import FLUORESCENCE, Sample
from xasnn_stream.spectrum import FloatArray

LIFETIME_S = 4e4
TREMBLE, TREMBLE_HZ = 0.005, 7.0
"""Of the flux, and how fast: seen by all detectors at the same time."""


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """What detectors see, relative to the flux at the beginning; all `(points,)`."""

    i0: FloatArray
    it: FloatArray
    ir: FloatArray
    fluorescence: FloatArray


def rates(
    sample: Sample,
    energy_ev: FloatArray,
    time_s: FloatArray,
    share: FloatArray | float,
    noise: float,
    rng: np.random.Generator,
) -> Rates:
    """Return the rates at times and energies of as many points.

    it = i0 exp(-μt), ir = it exp(-μt of the foil), fluorescence in proportion to i0 μt:
    a thin sample. Each reading has an error of its own, of the relative rms `noise`.
    """
    tremble = TREMBLE * np.sin(2.0 * np.pi * TREMBLE_HZ * time_s)
    i0 = np.exp(-time_s / LIFETIME_S) * (1.0 + tremble)
    mu = sample.mu(energy_ev, share)
    it = i0 * np.exp(-mu)
    ir = it * np.exp(-sample.mu_foil(energy_ev))
    exact = np.stack([i0, it, ir, FLUORESCENCE * i0 * mu])
    return Rates(*(exact * (1.0 + noise * rng.normal(size=exact.shape))))
