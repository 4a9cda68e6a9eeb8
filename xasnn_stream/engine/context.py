"""What all spectra of an engine share."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.edges import next_edge_ev, other_edges_ev
from xasnn_stream.engine.foil import Foil
from xasnn_stream.engine.model import Model
from xasnn_stream.engine.seen import Curves
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.spectrum import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What all spectra of an engine share: model, settings, foil, edge energy (eV)."""

    model: Model
    settings: EngineSettings
    reference: Foil | None
    edge_ev: float

    @property
    def grid_energy(self) -> FloatArray:
        """Energies results are stored on, eV."""
        grid = self.settings.grid
        count = round((grid.stop - grid.start) / grid.step) + 1
        offsets = grid.start + grid.step * np.arange(count)
        return np.asarray(self.edge_ev + offsets, np.float64)

    @property
    def other_edges_ev(self) -> list[float]:
        """Further edges of all elements in the sample, eV."""
        elements = (self.model.element, *self.settings.others)
        return other_edges_ev(self.edge_ev, elements)

    @property
    def next_edge_ev(self) -> float | None:
        """The next edge above of all elements in the sample, eV, None if there is none."""
        return next_edge_ev(self.model.element, self.model.edge, self.settings.others)

    def curves(self, energy: Tensor, mu: Tensor, valid: Tensor) -> Curves:
        """Find the edges of curves, `batch x points`, near the tabulated one.

        Where no point was measured near it, it stands in; whether μ rises there is for
        others to judge.
        """
        fixed = self.settings.normalization.e0
        if fixed is not None:
            return Curves(energy, mu, valid, torch.full_like(mu[:, 0], fixed))
        tabulated = torch.full_like(mu[:, 0], self.edge_ev)
        widest = self.settings.quality.max_e0_shift_ev
        e0 = find_e0(energy, mu, valid, (tabulated - widest, tabulated + widest))
        return Curves(energy, mu, valid, torch.where(e0.isnan(), tabulated, e0))
