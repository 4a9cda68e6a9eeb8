"""One energy grid that many spectra share, as a key of operators built once for it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Energies `(points,)` in eV, float64, that compare and hash by value and device.

    What is linear in μ on one grid is a matrix; functions that build such matrices take
    a grid and keep the latest results with `functools.lru_cache`.
    """

    energy: Tensor
    _content: tuple[str, bytes]

    def __hash__(self) -> int:
        return hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._content == other._content

    def __len__(self) -> int:
        return self.energy.shape[0]

    def rows(self, count: int) -> tuple[Tensor, Tensor]:
        """Return energies and validity as of a batch of so many rows, not copied."""
        valid = torch.ones_like(self.energy, dtype=torch.bool)
        return self.energy.expand(count, -1), valid.expand(count, -1)


def grid_of(energy: Tensor) -> Grid:
    """Return energies `(points,)`, strictly ascending, as a key."""
    energy = energy.detach().to(torch.float64)
    return Grid(energy, (str(energy.device), energy.cpu().numpy().tobytes()))
