"""The resident engine: a batch of spectra in, a batch of estimates out.

Everything numeric of a batch runs on one device, in float64, so that a spectrum's
numbers do not depend on its batch-mates or on the device.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.engine.batch import Context, compute
from xasnn_stream.engine.foil import Foil
from xasnn_stream.engine.intake import Absorption, absorb, out_of_range
from xasnn_stream.engine.model import Model, load_model
from xasnn_stream.engine.report import perhaps_too_early, reject, report, unusable
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.errors import FoilError, ModelError
from xasnn_stream.estimate import Estimate
from xasnn_stream.spectrum import Reason, Spectrum


class Engine:
    """One model with one profile's settings and one foil, resident on one device."""

    def __init__(
        self, model: Model, settings: EngineSettings, reference: Foil | None
    ) -> None:
        edge_ev = edge_energy_ev(model.element, model.edge)
        if edge_ev is None:
            raise ModelError(
                f"model {model.name}: {model.element} {model.edge} is no known edge"
            )
        self.settings = settings
        self.model_name = model.name
        self.model_sha256 = model.sha256
        self.descriptors = model.descriptors
        self.device = model.device
        self._context = Context(model, settings, reference, edge_ev)
        if reference is not None:
            self._check(reference)

    @classmethod
    def load(
        cls,
        model_folder: Path,
        settings: EngineSettings,
        reference: Foil | None = None,
        device: str | None = None,
    ) -> "Engine":
        """Load a model folder on CUDA where there is one, else on the CPU.

        Raises
        ------
        ModelError, FoilError
            If the folder does not match its manifest; if the foil is of another edge.
        """
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(load_model(model_folder, device), settings, reference)

    def warm_up(self) -> None:
        """Run the whole path once on a made-up edge, so that the first sweep is quick."""
        energy = self._context.edge_ev + np.arange(-200.0, 500.0, 1.0)
        mu = 0.5 + np.arctan(energy - self._context.edge_ev) / np.pi
        compute(self._context, [Absorption(energy, mu, mu)])

    def estimate(self, spectra: Sequence[Spectrum]) -> list[Estimate]:
        """Return one estimate per spectrum, in order; bad data become rejections."""
        context, model = self._context, self._context.model
        taken: list[tuple[int, Absorption]] = []
        estimates: dict[int, Estimate] = {}
        for index, spectrum in enumerate(spectra):
            found = absorb(spectrum, self.settings, model.element, model.edge)
            if isinstance(found, Reason):
                estimates[index] = reject(context, spectrum, found)
                continue
            energy = found.energy_ev
            problem = out_of_range(energy, self.settings, model.element, model.edge)
            if problem is None:
                taken.append((index, found))
            else:
                drawn = {"energy": energy, "mu": found.mu}
                problem = perhaps_too_early(spectrum.run, problem)
                estimates[index] = reject(context, spectrum, problem, arrays=drawn)
        if taken:
            with torch.no_grad():
                batch = compute(context, [absorption for _, absorption in taken])
            for row, (index, absorption) in enumerate(taken):
                estimates[index] = report(
                    context, spectra[index], absorption, batch, row
                )
        return [estimates[index] for index in range(len(spectra))]

    def _check(self, foil: Foil) -> None:
        """Refuse a foil that would be rejected as a sample."""
        context, model = self._context, self._context.model
        edge = f"{model.element} {model.edge}"
        energy = foil.energy_ev
        problem = out_of_range(energy, self.settings, model.element, model.edge)
        if problem is None:
            batch = compute(context, [Absorption(energy, foil.mu, None)])
            problem = unusable(context, batch, 0)
        if problem is not None:
            raise FoilError(
                f"foil {foil.name}: {problem.text}; name a foil of {edge} measured "
                "over the range of its samples"
            )
