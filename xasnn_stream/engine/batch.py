"""Physics and networks on a batch of accepted spectra; rows never see each other."""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xasnn_stream.engine.absorption import Absorption
from xasnn_stream.engine.amplitude import Amplitude, amplitude
from xasnn_stream.engine.cleaning import Cleaned, clean
from xasnn_stream.engine.context import Context
from xasnn_stream.engine.inference import (
    Differences,
    decompose,
    noise_level,
    scaling_of,
)
from xasnn_stream.engine.measure import (
    Computed,
    common_limits,
    see,
    subtract,
    without_shared_noise,
)
from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.engine.reference import References, references
from xasnn_stream.engine.seen import Seen, moved
from xasnn_stream.physics.noise.points import outliers
from xasnn_stream.physics.normalization.ranges import Reach
from xasnn_stream.physics.normalization.step_spread import step_spread
from xasnn_stream.physics.ragged import interpolate
from xasnn_stream.spectrum import FloatArray
from xasnn_stream.uncertainty.decomposition import Parts
from xasnn_stream.uncertainty.novelty import novelty_tests


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What was computed of a batch of accepted spectra; rows are spectra.

    `low`, `high` bound the calibrated interval; `novelty` is `batch x tests`, `outliers`
    `batch x points`. `reach` is the range fitted, `foil` names what was subtracted, None
    if nothing measured; `referenced` says whether the sweep's own channel shows the edge.
    `axis_shift` is the energy axis against the foil's by that channel, with its standard
    deviation, `edge_shift` the sample's edge against the foil's after that (eV, NaN where
    unknown); by `corrected` eV the energies of `sample` are lower than as measured.
    `spacing` (`batch x 2`) is that of points about the edge, of sweep and foil, eV.
    `step_spread` is the edge step's spread over admissible ranges, relative to it.
    `differences` (`batch x bins`) is NaN where a scan does not reach.
    """

    parts: Parts
    low: Tensor
    high: Tensor
    novelty: Tensor
    outliers: Tensor
    sample: Seen
    cleaned: Cleaned
    corrected: Tensor
    step_spread: Tensor
    amplitude: Amplitude
    reach: Reach
    foil: list[str | None]
    spacing: Tensor
    referenced: Tensor
    axis_shift: Tensor
    axis_shift_std: Tensor
    edge_shift: Tensor
    differences: Tensor
    grid_spectra: Tensor

    def energy_ev(self, row: int) -> FloatArray:
        """Return the energies of a row that were read, eV."""
        of = self.sample.curves
        return of.energy[row, : int(of.valid[row].sum())].cpu().numpy()


def on_host(batch: Batch) -> Batch:
    """Return a batch with all its tensors in the host's memory.

    Rows are then reported without asking the device for each number.
    """
    return _on_host(batch)


def _on_host(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts = {f.name: _on_host(getattr(value, f.name)) for f in fields(value)}
    return replace(value, **parts)


def compute(context: Context, absorption: Absorption) -> Batch:
    """Run physics and networks on a batch; rows stay independent of each other."""
    model, settings = context.model, context.settings.normalization
    cleaned = clean(context, absorption)
    absorption = cleaned.absorption
    # Denoising may choose another inflection point: e0 is that of μ as measured.
    sample = context.curves(absorption.energy, cleaned.measured, absorption.valid)
    sample = replace(sample, mu=absorption.mu)
    of = references(context, absorption)
    next_edge = context.next_edge_ev
    mine, theirs = (c.reach(next_edge) for c in (sample, of.curves))
    limits = common_limits(mine, theirs)
    is_raw = context.settings.cleaning.denoise == "none"
    measured = None if is_raw else cleaned.measured
    seen = see(sample, settings, limits, measured, absorption.sigma)
    foil = see(of.curves, settings, limits)
    differences = _subtracted(model, seen, foil, of)
    parts = decompose(model.parameters, scaling_of(model.tensors), differences)
    low, high = model.interval(parts, LEVEL)
    level = noise_level(differences.noise)
    axis_shift, axis_shift_std = of.axis_shift(foil)
    corrected = _corrected(context, axis_shift)
    edge_shift = seen.position - foil.position - axis_shift.nan_to_num(0.0)
    return Batch(
        parts=parts,
        low=low,
        high=high,
        novelty=novelty_tests(model.novelty, differences.values, level),
        outliers=_outliers(seen),
        sample=moved(seen, corrected),
        cleaned=cleaned.moved(corrected),
        corrected=corrected,
        step_spread=step_spread(
            sample.energy, sample.mu, sample.valid, settings, sample.e0, limits
        ),
        amplitude=amplitude(absorption, seen, settings, limits),
        reach=mine,
        foil=of.names,
        spacing=torch.stack((sample.spacing(), of.curves.spacing()), -1),
        referenced=of.usable,
        axis_shift=axis_shift,
        axis_shift_std=axis_shift_std,
        edge_shift=torch.where(of.has_foil, edge_shift, torch.nan),
        differences=differences.values,
        grid_spectra=_grid_spectra(context, seen, foil, of.has_foil, axis_shift),
    )


def _subtracted(model: Model, seen: Seen, foil: Seen, of: References) -> Differences:
    """Return what the networks read: the sweeps less their foils, or the model's own."""
    computed = Computed(
        model.grid, model.tensors["computed_foil"], float(model.tensors["edge_at"])
    )
    apart = without_shared_noise(seen, foil, of.is_own)
    return subtract(*apart, of.has_foil, of.is_own, computed)


def _corrected(context: Context, axis_shift: Tensor) -> Tensor:
    """Return by how much energies are lowered, eV, `batch`."""
    if context.settings.cleaning.align == "report":
        return torch.zeros_like(axis_shift)
    return axis_shift.nan_to_num(0.0)


def _outliers(seen: Seen) -> Tensor:
    of = seen.curves
    return outliers(of.energy, seen.normalized.norm, of.valid, seen.noise, of.e0)


def _grid_spectra(
    context: Context, seen: Seen, foil: Seen, has_foil: Tensor, axis_shift: Tensor
) -> Tensor:
    """Return sample, foil and difference on the stored grid, the foil's axis."""
    grid = torch.as_tensor(context.grid_energy, device=context.model.device)
    at = grid.expand(seen.position.shape[0], -1)
    shift = axis_shift.nan_to_num(0.0).unsqueeze(-1)
    of = seen.curves
    sample = interpolate(at + shift, of.energy, seen.normalized.flat, of.valid)
    of = foil.curves
    reference = interpolate(at, of.energy, foil.normalized.flat, of.valid)
    reference = torch.where(has_foil.unsqueeze(-1), reference, torch.nan)
    return torch.stack((sample, reference, sample - reference), 1)
