"""Raw channels of a batch on the device, and the absorption they make with its noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.engine.intake import needed_roles
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.physics.noise import counting
from xasnn_stream.physics.noise.counting import Counted, counted
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.signals.counts import (
    USED,
    dead_time,
    fluorescence,
    sum_channels,
    transmission,
)
from xasnn_stream.spectrum import Spectrum


class Readings:
    """Channels of spectra by role, one row each; a sweep without a channel reads 1."""

    def __init__(self, spectra: Sequence[Spectrum], device: str) -> None:
        self._spectra = spectra
        self._device = device

    def has(self, role: str) -> bool:
        """Return whether any sweep has the channel."""
        return bool(self._having(role))

    def raw(self, role: str) -> Tensor:
        """Return readings as they came, `batch x points` or `batch x points x elements`."""
        absent = [np.ones_like(s.energy_ev) for s in self._spectra]
        pairs = zip(self._spectra, absent, strict=True)
        found = [s.channels.get(role, ones) for s, ones in pairs]
        if found[0].ndim == 1:
            return stack(found, self._device)[0]
        elements = [[f[:, k] for f in found] for k in range(found[0].shape[1])]
        return torch.stack([stack(e, self._device)[0] for e in elements], -1)

    def dark(self, role: str) -> Tensor:
        """Return the dark level of each sweep, in the shape of one point of `raw`."""
        return self._level(role, [s.offsets.get(role, 0.0) for s in self._spectra])

    def scale(self, role: str) -> Tensor:
        """Return what net readings are multiplied by, in the shape of one of `raw`."""
        return self._level(role, [s.scales.get(role, 1.0) for s in self._spectra])

    def net(self, role: str) -> Tensor:
        """Return readings less their dark level, of one polarity and gain."""
        return (self.raw(role) - self.dark(role)) * self.scale(role)

    def _level(self, role: str, levels: list[float]) -> Tensor:
        level = torch.tensor(levels, device=self._device).double().unsqueeze(-1)
        has_elements = any(s.channels[role].ndim > 1 for s in self._having(role))
        return level.unsqueeze(-1) if has_elements else level

    def _having(self, role: str) -> list[Spectrum]:
        return [s for s in self._spectra if role in s.channels]

    def where(self, flags: list[bool], one: Tensor, other: Tensor) -> Tensor:
        """Take rows of `one` where flagged, else of `other`."""
        chosen = torch.tensor(flags, device=self._device).unsqueeze(-1)
        return torch.where(chosen, one, other)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """μ of readings, I0, and σ of μ by counts (NaN unless gains are known).

    All are `batch x points`; `elements` (`batch x elements`) are those of the detector, as
    in `Absorption`.
    """

    mu: Tensor
    i0: Tensor
    sigma: Tensor
    elements: Tensor


def measured(read: Readings, settings: EngineSettings, valid: Tensor) -> Measured:
    """Return the absorption of a mode, with its noise where counts are known."""
    first, second, *rates = needed_roles(settings)
    i0, signal = read.net(first), read.net(second)
    corrected = signal
    if rates:
        corrected = dead_time(signal, "icr_ocr", *(read.net(role) for role in rates))
    factor = torch.where(corrected == signal, 1.0, corrected / signal)
    elements = valid.new_zeros((len(valid), 0), dtype=torch.long)
    if signal.dim() == 3:
        summed = sum_channels(signal, valid, corrected)
        corrected, elements = summed.counts, summed.codes
    is_transmission = settings.mode == "transmission"
    formula = transmission if is_transmission else fluorescence
    mu = formula(i0, corrected)
    sigma = torch.full_like(mu, torch.nan)
    if {first, second} <= set(settings.counts_per_unit):
        incoming = _counted(read, settings, first, 1.0)
        seen = _counted(read, settings, second, factor)
        sigma = _sigma(incoming, seen, elements, is_transmission)
    return Measured(mu, i0, sigma, elements)


def _counted(
    read: Readings, settings: EngineSettings, role: str, factor: Tensor | float
) -> Counted:
    """Return a channel with its counting noise; a rate is counted for the sweep's dwell."""
    raw, scale = read.raw(role), read.scale(role)
    per_unit = read.raw("dwell") * settings.counts_per_unit[role]
    if raw.dim() == 3:
        per_unit = per_unit.unsqueeze(-1)
    # Counts are of the reading as it came, whose polarity may be negative.
    return counted(
        raw * scale, per_unit / scale.abs(), read.dark(role) * scale, factor=factor
    )


def _sigma(i0: Counted, seen: Counted, elements: Tensor, through: bool) -> Tensor:
    """Return σ of μ, `batch x points`, of transmission or else of fluorescence."""
    if through:
        return counting.transmission(i0, seen).std
    if seen.value.dim() == 2:
        seen = Counted(seen.value.unsqueeze(-1), seen.variance.unsqueeze(-1))
        used = torch.ones_like(seen.value, dtype=torch.bool)
    else:
        used = (elements == USED).unsqueeze(1)
    return counting.fluorescence(i0, seen, used).std
