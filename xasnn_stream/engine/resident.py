"""The resident engine: a batch of spectra in, a batch of estimates out.

Everything numeric of a batch runs on one device, in float64, so that a spectrum's
numbers do not depend on its batch-mates or on the device.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.engine.absorption import Absorption, absorb, one_curve
from xasnn_stream.engine.batch import compute, on_host
from xasnn_stream.engine.cleaning import clean
from xasnn_stream.engine.context import Context
from xasnn_stream.engine.foil import Foil
from xasnn_stream.engine.intake import doubt, out_of_range, settings_of
from xasnn_stream.engine.model import Model, load_model
from xasnn_stream.engine.report import perhaps_too_early, reject, report, unusable
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.errors import FoilError, ModelError
from xasnn_stream.estimate import MOST_NAMED, Estimate
from xasnn_stream.spectrum import Reason, Spectrum


class Engine:
    """One model with one profile's settings and one foil, resident on one device.

    `foil_note` is a sentence about points of the foil that leave its curve, else empty.
    """

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
        self._edge = (model.element, model.edge)
        self._context = Context(model, settings, reference, edge_ev)
        self.foil_note = ""
        if reference is not None:
            self._take(reference)

    @classmethod
    def load(
        cls,
        model_folder: Path,
        settings: EngineSettings,
        reference: Foil | None = None,
        device: str | None = None,
        part: str = "",
    ) -> "Engine":
        """Load a model folder on CUDA where there is one, else on the CPU.

        `part` names the edge, as `Pd_K`, where the folder reads several.

        Raises
        ------
        ModelError, FoilError
            If the folder does not match its manifest; if the foil is of another edge.
        """
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(load_model(model_folder, device, part), settings, reference)

    def warm_up(self) -> None:
        """Run the whole path once on a made-up edge, so that the first sweep is quick."""
        energy = self._context.edge_ev + np.arange(-200.0, 500.0, 1.0)
        mu = 0.5 + np.arctan(energy - self._context.edge_ev) / np.pi
        with torch.no_grad():
            compute(self._context, one_curve(energy, mu, self.device))

    def estimate(self, spectra: Sequence[Spectrum]) -> list[Estimate]:
        """Return one estimate per spectrum, in order; bad data become rejections."""
        estimates: dict[int, Estimate] = {}
        taken: list[int] = []
        for index, spectrum in enumerate(spectra):
            problem = doubt(spectrum, self.settings, *self._edge)
            if problem is None:
                taken.append(index)
            else:
                estimates[index] = reject(self._context, spectrum, problem)
        for alike in _alike(spectra, taken):
            with torch.no_grad():
                estimates |= self._measured(spectra, alike)
        return [estimates[index] for index in range(len(spectra))]

    def _measured(
        self, spectra: Sequence[Spectrum], taken: Sequence[int]
    ) -> dict[int, Estimate]:
        """Return the estimates of the sweeps `taken`, all alike, by their place."""
        chosen = [spectra[index] for index in taken]
        settings = settings_of(chosen[0], self.settings)
        context = replace(self._context, settings=settings)
        absorption = absorb(chosen, settings, self.device)
        estimates: dict[int, Estimate] = {}
        rows: list[int] = []
        for row, problem in enumerate(self._ranges(absorption)):
            spectrum = chosen[row]
            if problem is None:
                rows.append(row)
            else:
                problem = perhaps_too_early(spectrum.run, problem)
                drawn = absorption.arrays(row)
                found = reject(context, spectrum, problem, arrays=drawn)
                estimates[taken[row]] = found
        if rows:
            batch = on_host(compute(context, absorption.rows(rows)))
            for place, row in enumerate(rows):
                found = report(context, chosen[row], batch, place)
                estimates[taken[row]] = found
        return estimates

    def _ranges(self, absorption: Absorption) -> list[Reason | None]:
        """Return for every row why its range cannot be normalized, None if it can."""
        spans = zip(
            absorption.valid.sum(-1).tolist(),
            absorption.energy[:, 0].tolist(),
            absorption.end.tolist(),
            strict=True,
        )
        return [
            out_of_range(points, (low, high), self.settings, *self._edge)
            for points, low, high in spans
        ]

    def _take(self, foil: Foil) -> None:
        """Take a foil without its glitches; refuse one that fails as a sample would."""
        context, model = self._context, self._context.model
        edge = f"{model.element} {model.edge}"
        absorption = one_curve(foil.energy_ev, foil.mu, self.device)
        (problem,) = self._ranges(absorption)
        if problem is None:
            with torch.no_grad():
                glitches = clean(context, absorption).glitches[0].cpu().numpy()
                self._leave_out(foil, glitches)
                problem = unusable(context, compute(context, absorption), 0)
        if problem is not None:
            raise FoilError(
                f"foil {foil.name}: {problem.text}; name a foil of {edge} measured "
                "over the range of its samples"
            )

    def _leave_out(self, foil: Foil, glitches: NDArray[np.bool_]) -> None:
        """Leave glitches out of the foil if the profile says so, and say it."""
        if not glitches.any():
            return
        found = foil.energy_ev[glitches]
        energies = ", ".join(f"{energy:.1f}" for energy in found[:MOST_NAMED])
        done = "not left out, as the profile says"
        if self.settings.cleaning.deglitch:
            self._context = replace(self._context, reference=foil.without(glitches))
            done = "left out"
        points = f"{len(found)} point{'s' * (len(found) > 1)}"
        self.foil_note = (
            f"foil {foil.name}: {points} off its curve {done}, at {energies} eV"
        )


def _alike(spectra: Sequence[Spectrum], taken: Sequence[int]) -> list[list[int]]:
    """Divide sweeps into those of one mode, whose detectors have as many elements."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index in taken:
        spectrum = spectra[index]
        elements = {
            (role, *readings.shape[1:])
            for role, readings in spectrum.channels.items()
            if readings.ndim > 1
        }
        key = (spectrum.mode, *sorted(elements))
        groups.setdefault(key, []).append(index)
    return list(groups.values())
