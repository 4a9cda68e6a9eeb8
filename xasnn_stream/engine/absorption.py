"""From raw channels of a batch to absorption on ascending energies, on the device."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.engine.intake import has_reference, is_given, needed_roles
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.signals.counts import (
    dead_time,
    fluorescence,
    sum_channels,
    transmission,
)
from xasnn_stream.physics.signals.order import mask, order
from xasnn_stream.spectrum import FloatArray, Spectrum

_FORMULAS = {"transmission": transmission, "fluorescence": fluorescence}


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """μ of a batch on ascending energies (eV), each energy once.

    `energy`, `mu`, `valid`, `i0` and `reference`, μ of the sweep's own reference channel
    (both NaN where there is none), are `batch x points`; `has_reference`, the number of
    readings `merged` into another of their energy, and of `back_steps` of the axis are
    `batch`. `elements` (`batch x elements`) says which elements of the fluorescence
    detector were summed or why not, in `counts.CHANNEL_REASONS`; none of one channel.
    """

    energy: Tensor
    mu: Tensor
    valid: Tensor
    i0: Tensor
    reference: Tensor
    has_reference: Tensor
    merged: Tensor
    back_steps: Tensor
    elements: Tensor

    @property
    def end(self) -> Tensor:
        """Last energy of every row, eV."""
        return self.energy[:, -1]

    def arrays(self, row: int) -> dict[str, FloatArray]:
        """Return `energy` and `mu` of a row, each `(points,)`, as delivered."""
        points = int(self.valid[row].sum())
        return {
            name: values[row, :points].cpu().numpy()
            for name, values in (("energy", self.energy), ("mu", self.mu))
        }

    def rows(self, index: Sequence[int]) -> "Absorption":
        """Return some rows, no wider than their longest."""
        chosen = {f.name: getattr(self, f.name)[list(index)] for f in fields(self)}
        width = max(int(chosen["valid"].sum(-1).max()), 1)
        for name in ("energy", "mu", "valid", "i0", "reference"):
            chosen[name] = chosen[name][:, :width]
        return Absorption(**chosen)

    def keep(self, points: Tensor) -> "Absorption":
        """Return the batch without some points; `points` is `batch x points`."""
        curves = (self.energy, self.mu, self.i0, self.reference)
        valid, energy, mu, i0, reference = mask(points, self.valid, *curves)
        return replace(
            self, energy=energy, mu=mu, valid=valid, i0=i0, reference=reference
        )


def absorb(
    spectra: Sequence[Spectrum], settings: EngineSettings, device: str
) -> Absorption:
    """Return the absorption of spectra that `doubt` has nothing against."""
    energy, valid = stack([s.energy_ev for s in spectra], device)

    def readings(role: str) -> Tensor:
        absent = [np.ones_like(s.energy_ev) for s in spectra]
        found = [s.channels.get(role, a) for s, a in zip(spectra, absent, strict=True)]
        dark = torch.tensor([s.offsets.get(role, 0.0) for s in spectra])
        dark = dark.to(energy).unsqueeze(-1)
        if found[0].ndim == 1:
            return stack(found, device)[0] - dark
        elements = [[f[:, k] for f in found] for k in range(found[0].shape[1])]
        return torch.stack([stack(e, device)[0] - dark for e in elements], -1)

    def where(flags: list[bool], one: Tensor, other: Tensor) -> Tensor:
        chosen = torch.tensor(flags, device=device).unsqueeze(-1)
        return torch.where(chosen, one, other)

    first, second, *rates = needed_roles(settings)
    given = [is_given(spectrum, settings) for spectrum in spectra]
    i0, signal = readings(first), readings(second)
    if rates:
        signal = dead_time(signal, "icr_ocr", *(readings(role) for role in rates))
    elements = valid.new_zeros((len(valid), 0), dtype=torch.long)
    if signal.dim() == 3:
        summed = sum_channels(signal, valid, settings.cleaning.excluded)
        signal, elements = summed.counts, summed.codes
    mu = _FORMULAS[settings.mode](i0, signal)
    if any(given):
        mu = where(given, readings("mu"), mu)
        i0 = where(given, torch.full_like(i0, torch.nan), i0)
    referenced = [has_reference(spectrum, settings) for spectrum in spectra]
    reference = torch.full_like(mu, torch.nan)
    if any(referenced):
        counted = transmission(readings("it"), readings("ir"))
        stored = readings("mu_reference") if any(given) else counted
        found = where(given, stored, counted)
        reference = where(referenced, found, reference)
    ordered = order(energy, valid, mu, i0, reference)
    mu, i0, reference = ordered.curves
    return Absorption(
        energy=ordered.energy,
        mu=mu,
        valid=ordered.valid,
        i0=i0,
        reference=reference,
        has_reference=torch.tensor(referenced, device=device),
        merged=ordered.merged,
        back_steps=ordered.back_steps,
        elements=elements,
    )


def one_curve(energy_ev: FloatArray, mu: FloatArray, device: str) -> Absorption:
    """Return one known curve, energies ascending, as a batch."""
    energy, valid = stack([energy_ev], device)
    values, _ = stack([mu], device)
    none = torch.zeros_like(valid[:, 0])
    count = none.to(torch.long)
    unknown = torch.full_like(values, torch.nan)
    elements = count.new_zeros((1, 0))
    return Absorption(
        energy, values, valid, unknown, unknown, none, count, count, elements
    )
