"""Spectra to measure speed on: a metal's absorption with noise, made by formula."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.edges import EDGE_ENERGIES_EV
from xasnn_stream.physics.instrument import HC2_OVER_2M_EV_A2
from xasnn_stream.physics.ragged import stack

_SHELLS = (
    (12, 2.77, 0.0050),
    (6, 3.92, 0.0070),
    (24, 4.80, 0.0080),
    (12, 5.54, 0.0090),
)
"""Neighbours, distance (angstrom) and σ² (angstrom²) of an fcc metal."""

_AMPLITUDE, _MEAN_FREE_PATH_A = 0.4, 8.0
_CORE_HOLE_EV = 5.0
_NOISE = 1e-3

E0_EV = EDGE_ENERGIES_EV["Pt"]["L3"]


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """Noisy absorption; `energy` is `(points,)` with `valid` None, or `batch x points`."""

    energy: Tensor
    mu: Tensor
    valid: Tensor | None


def grid(
    e0: float, pre_step: float = 8.0, edge_step: float = 0.5, k_step: float = 0.05
) -> Tensor:
    """Return the energies of an ordinary step scan, -200 to 1150 eV about `e0`."""
    below = torch.arange(-200.0, -25.0, pre_step, dtype=torch.float64)
    near = torch.arange(-25.0, 30.0, edge_step, dtype=torch.float64)
    k = torch.arange(math.sqrt(30.0 / HC2_OVER_2M_EV_A2), 17.4, k_step)
    above = HC2_OVER_2M_EV_A2 * k.to(torch.float64).square()
    return e0 + torch.cat((below, near, above))


def metal(energy: Tensor, e0: float) -> Tensor:
    """Return μ·t of a metal on energies (eV) of any shape: arctangent, line, EXAFS."""
    relative = energy - e0
    rise = 0.5 + torch.atan(relative / (_CORE_HOLE_EV / 2)) / math.pi
    k = (relative.clamp(min=1.0) / HC2_OVER_2M_EV_A2).sqrt()
    chi = torch.zeros_like(k)
    for number, distance, sigma2 in _SHELLS:
        decay = torch.exp(-2 * sigma2 * k**2 - 2 * distance / _MEAN_FREE_PATH_A)
        backscattering = torch.exp(-(((k - 7.0) / 6.0) ** 2))
        wave = torch.sin(2 * k * distance - 0.9 * k + 1.0)
        chi = (
            chi
            + _AMPLITUDE * number / (k * distance**2) * backscattering * decay * wave
        )
    smooth = 0.4 - 2e-4 * relative + rise * (1.0 - 1e-4 * relative)
    return smooth + rise * torch.where(relative > 5.0, chi, 0.0)


def on_common_grid(count: int, seed: int = 0) -> Spectra:
    """Return `count` noisy spectra on one grid of about 420 points."""
    energy = grid(E0_EV)
    return Spectra(energy, _noisy(metal(energy, E0_EV).expand(count, -1), seed), None)


def ragged(count: int, seed: int = 0) -> Spectra:
    """Return `count` noisy spectra, each on a grid and with a length of its own."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(count):
        factor = 0.85 + 0.3 * torch.rand(3, generator=generator)
        energy = grid(E0_EV, *(factor * torch.tensor((8.0, 0.5, 0.05))).tolist())
        rows.append(
            energy[: len(energy) - int(40 * torch.rand(1, generator=generator))]
        )
    energy, valid = stack([row.numpy() for row in rows])
    return Spectra(energy, _noisy(metal(energy, E0_EV), seed + 1), valid)


def _noisy(mu: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + _NOISE * noise
