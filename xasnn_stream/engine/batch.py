"""Physics and networks on a batch of accepted spectra; rows never see each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.engine.foil import Foil
from xasnn_stream.engine.inference import decompose, noise_level, scaling_of
from xasnn_stream.engine.intake import Absorption
from xasnn_stream.engine.measure import (
    Computed,
    Curves,
    Seen,
    common_limits,
    curves,
    see,
    subtract,
    without_shared_noise,
)
from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.physics.noise import outliers
from xasnn_stream.physics.ragged import interpolate
from xasnn_stream.spectrum import FloatArray
from xasnn_stream.uncertainty.decomposition import Parts
from xasnn_stream.uncertainty.novelty import novelty_tests

OWN_CHANNEL = "reference channel"
"""The foil's name in the provenance where a sweep brought its own."""

Pair = tuple[FloatArray, FloatArray]
"""Energy (eV) and absorption, each `(points,)`."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What was computed of a batch of accepted spectra; rows are spectra.

    `low`, `high` bound the calibrated interval; `novelty` is `batch x tests`, `outliers`
    `batch x points`. `axis_shift` is the energy axis against the foil's by the reference
    channel, `edge_shift` the sample's edge against the foil's after that (eV, NaN where
    unknown). `differences` (`batch x bins`) is NaN where a scan does not reach.
    """

    parts: Parts
    low: Tensor
    high: Tensor
    novelty: Tensor
    outliers: Tensor
    sample: Seen
    foils: list[str | None]
    own: list[Pair | None]
    axis_shift: Tensor
    edge_shift: Tensor
    differences: Tensor
    grid_spectra: Tensor


def compute(context: Context, absorptions: Sequence[Absorption]) -> Batch:
    """Run physics and networks on a batch; rows stay independent of each other."""
    model, settings = context.model, context.settings.normalization
    sample = _curves(context, [(a.energy_ev, a.mu) for a in absorptions])
    own = _own_channels(context, absorptions)
    foils = [_foil_for(context, channel) for channel in own]
    has_foil = torch.tensor([f is not None for f in foils], device=context.model.device)
    # Every row needs some curve: without a foil the sample stands in and is not used.
    pairs = [
        (a.energy_ev, a.mu) if foil is None else foil[1]
        for a, foil in zip(absorptions, foils, strict=True)
    ]
    foil = _curves(context, pairs)
    limits = common_limits(sample, foil)
    seen, seen_foil = see(sample, settings, limits), see(foil, settings, limits)
    is_own = [chosen is not None and chosen[0] == OWN_CHANNEL for chosen in foils]
    shared = torch.tensor(is_own, device=model.device)
    computed = Computed(
        model.grid, model.tensors["computed_foil"], float(model.tensors["edge_at"])
    )
    apart = without_shared_noise(seen, seen_foil, shared)
    differences = subtract(*apart, has_foil, computed)
    parts = decompose(model.parameters, scaling_of(model.tensors), differences)
    margin = model.quantiles[LEVEL] * parts.std
    level = noise_level(differences.noise)
    axis_shift = _axis_shift(context, own, foils, seen_foil.position)
    edge_shift = seen.position - seen_foil.position - axis_shift.nan_to_num(0.0)
    return Batch(
        parts=parts,
        low=parts.value - margin,
        high=parts.value + margin,
        novelty=novelty_tests(model.novelty, differences.values, level),
        outliers=_outliers(seen),
        sample=seen,
        foils=[None if chosen is None else chosen[0] for chosen in foils],
        own=own,
        axis_shift=axis_shift,
        edge_shift=torch.where(has_foil, edge_shift, torch.nan),
        differences=differences.values,
        grid_spectra=_grid_spectra(context, seen, seen_foil, has_foil, axis_shift),
    )


def _outliers(seen: Seen) -> Tensor:
    of = seen.curves
    return outliers(of.energy, seen.normalized.norm, of.valid, seen.noise, of.e0)


def _curves(context: Context, pairs: Sequence[Pair]) -> Curves:
    return curves(pairs, context.model.device, context.settings.normalization.e0)


def _own_channels(
    context: Context, absorptions: Sequence[Absorption]
) -> list[Pair | None]:
    """Return each sweep's reference channel if it shows the edge, else None."""
    limit = context.settings.quality.max_e0_shift_ev
    present = [i for i, a in enumerate(absorptions) if a.reference_mu is not None]
    channels: list[Pair | None] = [None] * len(absorptions)
    pairs = [
        (absorptions[i].energy_ev, cast("FloatArray", absorptions[i].reference_mu))
        for i in present
    ]
    if not pairs:
        return channels
    found = _curves(context, pairs)
    seen = see(found, context.settings.normalization, found.span)
    near = (found.e0 - context.edge_ev).abs() <= limit
    usable = near & (seen.normalized.edge_step > context.settings.quality.min_edge_step)
    for index, pair, good in zip(present, pairs, usable.tolist(), strict=True):
        channels[index] = pair if good else None
    return channels


def _foil_for(context: Context, own: Pair | None) -> tuple[str, Pair] | None:
    """Choose what is subtracted: the channel or the deployment's foil, or neither."""
    given = context.reference
    choices = {
        "channel": None if own is None else (OWN_CHANNEL, own),
        "deployment": None
        if given is None
        else (given.name, (given.energy_ev, given.mu)),
    }
    first = choices.pop(context.settings.reference_first)
    return first or next(iter(choices.values()))


def _axis_shift(
    context: Context,
    own: Sequence[Pair | None],
    foils: Sequence[tuple[str, Pair] | None],
    foil_position: Tensor,
) -> Tensor:
    """Return the sweep's energy axis minus the foil's by the channel, NaN unknown."""
    shift = torch.full_like(foil_position, torch.nan)
    rows = [
        i
        for i, (channel, foil) in enumerate(zip(own, foils, strict=True))
        if channel is not None and foil is not None and foil[0] != OWN_CHANNEL
    ]
    if rows:
        found = _curves(context, [cast("Pair", own[i]) for i in rows])
        seen = see(found, context.settings.normalization, found.span)
        shift[rows] = seen.position - foil_position[rows]
    return shift


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
