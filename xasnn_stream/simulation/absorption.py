"""From site spectra to the absorption a scan meets: μ(E) of a sample or a foil."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from xasnn_stream.library import BULK, Formed, Library, form, mix
from xasnn_stream.physics.instrument import (
    HC2_OVER_2M_EV_A2,
    broaden,
    damp,
    distort_energy,
)
from xasnn_stream.physics.white_line import OXIDE, white_line
from xasnn_stream.simulation.nuisances import AS_COMPUTED, Condition, Scan, Theory
from xasnn_stream.spectrum import FloatArray

TAIL_START_EV = -14.0
"""Below, FEFF's grid has ended and theory is an extrapolated Lorentzian."""

TAIL_DECAY_EV = 4.0

FINE_STRUCTURE_FROM_EV = (95.0, 120.0)
"""Over this range the library's spectrum gives way to the continuation."""

POST_EDGE_EV = (150.0, 400.0)
"""Where a post-edge line meets the true level, whatever normalization gets wrong."""

ERRORS_FADE_EV = (100.0, 150.0)
"""Over this range the errors of normalization fade, so that no post-edge sees them."""

FIRST_SHELL_A = 2.77
FINE_STRUCTURE_AMPLITUDE = 0.03
"""Of χ at 120 eV for twelve neighbours, with a decay as measured on Pt foils."""


@dataclass(frozen=True, slots=True, eq=False)
class Absorber:
    """Absorption μt of something in the beam, tabulated on ascending energies in eV."""

    energy_ev: FloatArray
    mu: FloatArray

    def at(self, energy_ev: float) -> float:
        """Return μt at one energy; beyond the table its ends continue."""
        return float(np.interp(energy_ev, self.energy_ev, self.mu))


@dataclass(frozen=True, slots=True)
class Thickness:
    """Edge step and the background of everything else in the beam at the edge."""

    edge_step: float = 1.0
    background: float = 0.35


def form_sample(
    library: Library, parts: Sequence[tuple[str, float]], contraction: float = 0.0
) -> Formed:
    """Mix particles by share of atoms, each contracted as far as the library reaches.

    A contraction is met by mixing the particle at two lattice scales: a distribution of
    lattice constants with that mean. A particle the library holds at one scale only is
    not contracted.
    """
    return mix(
        (share, _contract(library, particle, contraction)) for particle, share in parts
    )


def _contract(library: Library, particle: str, contraction: float) -> Formed:
    relaxed = form(library, particle, 1.0)
    smaller = [s for s in library.scales if s < 1.0 and particle in library.complete(s)]
    if not smaller or contraction == 0.0:
        return relaxed
    scale = max(smaller)
    share = min(contraction / (1.0 - scale), 1.0)
    return mix([(1.0 - share, relaxed), (share, form(library, particle, scale))])


def absorption(
    library: Library,
    formed: Formed,
    edge_ev: float,
    *,
    theory: Theory,
    scan: Scan,
    condition: Condition = AS_COMPUTED,
    thickness: Thickness | None = None,
) -> Absorber:
    """Return μt(E) of a formed sample as one scan meets it.

    The background falls as E⁻³ (Victoreen's leading term); on it stands the edge step
    times the normalized spectrum with its errors.
    """
    thickness = thickness or Thickness()
    x = np.arange(-200.0, 500.0, 0.25)
    normalized = normalized_spectrum(library, formed, theory, condition, x)
    fading = 1.0 - _smoothstep(x, *ERRORS_FADE_EV)
    slope = scan.slope_error * np.clip(x, 0.0, None) / 100.0
    measured = normalized + (scan.step_error * normalized + slope) * fading
    energy = edge_ev + x
    mu = thickness.background * (edge_ev / energy) ** 3 + thickness.edge_step * measured
    return Absorber(energy + scan.shift_ev, mu)


def normalized_spectrum(
    library: Library,
    formed: Formed,
    theory: Theory,
    condition: Condition,
    x: FloatArray,
) -> FloatArray:
    """Return the normalized μ, 0 before and 1 far behind the edge, at `x` eV from it.

    Within the library's range: bulk plus `amplitude` times the difference from bulk,
    damped, with an oxide's share of white line, stretched and broadened. Before it a
    tail that decays within a few eV, behind it a decaying oscillation of the first
    shell: nothing to learn from there.
    """
    grid = torch.from_numpy(library.x)
    bulk = form(library, BULK, 1.0).mu
    mu = torch.from_numpy(bulk + theory.amplitude * (formed.mu - bulk))
    mu = damp(
        mu, grid, torch.from_numpy(library.atomic), _scalar(condition.delta_sigma2)
    )
    mu = mu + condition.oxidized * white_line(grid, OXIDE)
    mu = distort_energy(mu, grid, _scalar(0.0), _scalar(theory.stretch))
    near = np.interp(x, library.x, broaden(mu, grid, _scalar(theory.fwhm_ev)).numpy())
    tail = np.interp(TAIL_START_EV, x, near)
    decay = np.exp(np.clip((x - TAIL_START_EV) / TAIL_DECAY_EV, -50.0, 0.0))
    near = np.where(x < TAIL_START_EV, tail * decay, near)
    far = 1.0 + _fine_structure(x, formed.cn[0], condition.delta_sigma2)
    share = _smoothstep(x, *FINE_STRUCTURE_FROM_EV)
    return (1.0 - share) * near + share * far


def _fine_structure(x: FloatArray, cn1: float, delta_sigma2: float) -> FloatArray:
    """Return the first shell's χ without the straight line a post-edge finds in it.

    How far normalization errs is drawn, and not left to where the oscillation is cut.
    """
    first, last = _wavenumber(np.array(POST_EDGE_EV))
    k_far = np.linspace(first, last, 200)
    chi_far = _first_shell(k_far, cn1, delta_sigma2)
    x_far = HC2_OVER_2M_EV_A2 * k_far**2
    line = np.polynomial.Polynomial.fit(x_far, chi_far, 1)
    return _first_shell(_wavenumber(x), cn1, delta_sigma2) - line(x)


def _first_shell(k: FloatArray, cn1: float, delta_sigma2: float) -> FloatArray:
    """χ = A N₁/12 (k₀/k)² exp(-2 Δσ² k² - (k - k₀)/2) sin(2 k R), k₀ at 120 eV."""
    k0 = np.sqrt(FINE_STRUCTURE_FROM_EV[1] / HC2_OVER_2M_EV_A2)
    envelope = (k0 / k) ** 2 * np.exp(-2 * delta_sigma2 * k**2 - (k - k0) / 2)
    amplitude = FINE_STRUCTURE_AMPLITUDE * cn1 / 12
    return amplitude * envelope * np.sin(2 * k * FIRST_SHELL_A)


def _wavenumber(x: FloatArray) -> FloatArray:
    """Return k (1/Å) at `x` eV above the edge; constant before +1 eV."""
    return np.sqrt(np.clip(x, 1.0, None) / HC2_OVER_2M_EV_A2)


def _smoothstep(x: FloatArray, start: float, stop: float) -> FloatArray:
    t = np.clip((x - start) / (stop - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _scalar(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)
