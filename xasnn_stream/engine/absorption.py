"""From raw channels of a batch to absorption on ascending energies, on the device."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from xasnn_stream.engine.intake import has_reference, has_transmission, is_given
from xasnn_stream.engine.readings import Measured, Readings, measured
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.signals.counts import transmission
from xasnn_stream.physics.signals.order import mask, order
from xasnn_stream.spectrum import FloatArray, Spectrum

_MASKED = ("energy", "mu", "i0", "reference", "beside", "sigma")
"""Fields that lose the points which are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """μ of a batch on ascending energies (eV), each energy once.

    `energy`, `mu`, `valid`, `i0`, `reference`, μ of the sweep's own reference channel, and
    `beside`, the transmission measured with fluorescence, are `batch x points`, and so is
    `sigma`, the standard deviation of a point by its counts; the last four are NaN where
    there is none. `has_reference`, the number of readings `merged` into another of their
    energy, and of `back_steps` of the axis are `batch`. `elements` (`batch x elements`)
    says which elements of the fluorescence detector were summed or why not, in
    `counts.CHANNEL_REASONS`; none of one channel.
    """

    energy: Tensor
    mu: Tensor
    valid: Tensor
    i0: Tensor
    reference: Tensor
    beside: Tensor
    sigma: Tensor
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
        for name in ("valid", *_MASKED):
            chosen[name] = chosen[name][:, :width]
        return Absorption(**chosen)

    def keep(self, points: Tensor) -> "Absorption":
        """Return the batch without some points; `points` is `batch x points`."""
        curves = (getattr(self, name) for name in _MASKED)
        valid, *left = mask(points, self.valid, *curves)
        return replace(self, valid=valid, **dict(zip(_MASKED, left, strict=True)))


def absorb(
    spectra: Sequence[Spectrum], settings: EngineSettings, device: str
) -> Absorption:
    """Return the absorption of spectra that `doubt` has nothing against."""
    energy, valid = stack([s.energy_ev for s in spectra], device)
    read = Readings(spectra, device)
    found = _with_given(measured(read, settings, valid), read, spectra, settings)
    referenced = [has_reference(spectrum, settings) for spectrum in spectra]
    both = [has_transmission(spectrum, settings) for spectrum in spectra]
    reference = torch.full_like(found.mu, torch.nan)
    beside = reference
    if any(referenced):
        channel = transmission(read.net("it"), read.net("ir"))
        if read.has("mu_reference"):
            given = [is_given(spectrum, settings) for spectrum in spectra]
            channel = read.where(given, read.net("mu_reference"), channel)
        reference = read.where(referenced, channel, reference)
    if any(both):
        through = transmission(read.net("i0"), read.net("it"))
        beside = read.where(both, through, beside)
    ordered = order(
        energy, valid, found.mu, found.i0, reference, beside, found.sigma.square()
    )
    mu, i0, reference, beside, variance = ordered.curves
    return Absorption(
        energy=ordered.energy,
        mu=mu,
        valid=ordered.valid,
        i0=i0,
        reference=reference,
        beside=beside,
        sigma=(variance / ordered.readings.clamp(min=1)).sqrt(),
        has_reference=torch.tensor(referenced, device=device),
        merged=ordered.merged,
        back_steps=ordered.back_steps,
        elements=found.elements,
    )


def _with_given(
    found: Measured,
    read: Readings,
    spectra: Sequence[Spectrum],
    settings: EngineSettings,
) -> Measured:
    """Put absorption that came as such in its rows; it has no counts."""
    given = [is_given(spectrum, settings) for spectrum in spectra]
    if not any(given):
        return found
    unknown = torch.full_like(found.mu, torch.nan)
    return replace(
        found,
        mu=read.where(given, read.net("mu"), found.mu),
        i0=read.where(given, unknown, found.i0),
        sigma=read.where(given, unknown, found.sigma),
    )


def one_curve(energy_ev: FloatArray, mu: FloatArray, device: str) -> Absorption:
    """Return one known curve, energies ascending, as a batch."""
    energy, valid = stack([energy_ev], device)
    values, _ = stack([mu], device)
    none = torch.zeros_like(valid[:, 0])
    count = none.to(torch.long)
    unknown = torch.full_like(values, torch.nan)
    return Absorption(
        energy=energy,
        mu=values,
        valid=valid,
        i0=unknown,
        reference=unknown,
        beside=unknown,
        sigma=unknown,
        has_reference=none,
        merged=count,
        back_steps=count,
        elements=count.new_zeros((1, 0)),
    )
