"""What differs between a calculation and a measurement, drawn for the simulation.

Ranges are set N1 of the training recipe, but the draws are made here and nowhere else:
a simulation that shared code with training would confirm its mistakes.
"""

from dataclasses import dataclass

import numpy as np

HOT_SIGMA2_PER_K = 8e-6
"""Growth of Pt's first-shell σ² above room temperature, Å²/K, rounded."""

ROOM_K = 300.0


@dataclass(frozen=True, slots=True)
class Theory:
    """How the calculation is wrong: one draw for a whole series, foil included.

    `stretch` of the energy scale about the edge, extra Gaussian broadening (`fwhm_ev`),
    `amplitude` of the difference between a particle and bulk.
    """

    stretch: float
    fwhm_ev: float
    amplitude: float


@dataclass(frozen=True, slots=True)
class Scan:
    """How one scan is wrong after the best normalization.

    `shift_ev` of the monochromator, relative error of the edge step, and of the
    post-edge slope per 100 eV.
    """

    shift_ev: float
    step_error: float
    slope_error: float


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of the particles.

    Δσ² (Å²), relative contraction of the lattice, and the oxidized share: how much of
    an oxide's white line stands on the metal's spectrum.
    """

    delta_sigma2: float
    contraction: float
    oxidized: float = 0.0


NO_THEORY_ERROR = Theory(1.0, 0.0, 1.0)
NO_SCAN_ERROR = Scan(0.0, 0.0, 0.0)
AS_COMPUTED = Condition(0.0, 0.0)


def draw_theory(rng: np.random.Generator) -> Theory:
    """Draw what a series has in common."""
    return Theory(
        stretch=rng.uniform(1.0, 1.05),
        fwhm_ev=rng.uniform(0.0, 3.0),
        amplitude=rng.uniform(0.85, 1.05),
    )


def draw_scan(rng: np.random.Generator) -> Scan:
    """Draw what every scan, and the foil's scan, has of its own."""
    return Scan(
        shift_ev=rng.uniform(-0.6, 0.6),
        step_error=rng.uniform(-0.012, 0.012),
        slope_error=rng.uniform(-0.012, 0.012),
    )


def draw_condition(
    rng: np.random.Generator, temperature_k: float, oxidized: float = 0.0
) -> Condition:
    """Draw disorder about what the temperature explains, 0 to 0.004 Å²; contraction."""
    thermal = HOT_SIGMA2_PER_K * (temperature_k - ROOM_K)
    return Condition(
        delta_sigma2=float(np.clip(thermal + rng.uniform(0.0, 0.0015), 0.0, 0.004)),
        contraction=rng.uniform(0.0, 0.006),
        oxidized=oxidized,
    )
