"""The photoelectron's wavenumber k (1/angstrom) and the uniform grid of χ(k)."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false

import torch
from torch import Tensor

from xasnn_stream.physics.instrument import HC2_OVER_2M_EV_A2


def wavenumber(above_edge: Tensor) -> Tensor:
    """Return k = √(2m(E - e0))/ħ of energies above the edge (eV), negative below it."""
    return above_edge.sign() * (above_edge.abs() / HC2_OVER_2M_EV_A2).sqrt()


def above_edge_ev(k: Tensor) -> Tensor:
    """Return E - e0 (eV) of wavenumbers k."""
    return HC2_OVER_2M_EV_A2 * k.square()


def grid_points(kmax: Tensor, kstep: float) -> Tensor:
    """Return how many points 0, kstep, 2 kstep… lie up to `kmax`, as larch counts."""
    return (1.01 + kmax / kstep).long()


def uniform_grid(
    points: int, step: float, device: torch.device | None = None
) -> Tensor:
    """Return 0, step, 2 step…, float64, `(points,)`."""
    return step * torch.arange(points, dtype=torch.float64, device=device)
