"""Counting statistics: from readings to absorption with the variance of each point.

A channel that counts N photons has the variance N; a reading r = N / g of g counts per
unit has the variance r / g. For an ion chamber g is photons absorbed per unit of the
reading, not electrons. Variances are propagated to first order: below some hundred
counts the logarithm's own bias, 1 / 2N, is no longer small beside its error, 1 / √N.
Where g is unknown, the noise is read from the spectrum: see `noise.local_noise`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Values with the variance of each, both of one shape (`batch x points`)."""

    value: Tensor
    variance: Tensor

    @property
    def std(self) -> Tensor:
        """The standard deviation of each value."""
        return self.variance.sqrt()

    @property
    def relative(self) -> Tensor:
        """The relative variance of each value, which is the variance of its logarithm."""
        return self.variance / self.value.square()


def counted(
    readings: Tensor,
    counts_per_unit: Tensor | float,
    dark: Tensor | float = 0.0,
    dark_variance: Tensor | float = 0.0,
    factor: Tensor | float = 1.0,
) -> Counted:
    """Return f·(r - d) and its variance f²·(r / g + var d), in the shape of `readings`.

    Parameters
    ----------
    readings
        As read, the dark current included, for its counts fluctuate too;
        `batch x points` or with a last axis of channels. Negative ones count nothing.
    counts_per_unit
        g, counts in one unit of the reading; 1 where readings are counts.
    dark, dark_variance
        What is subtracted, and the variance with which it was measured. A dark current
        measured once is wrong at all points alike; this takes it as if at each point.
    factor
        f, by which the net reading is multiplied: of the dead-time correction
        (ICR / OCR, whose own noise is small beside a region's), and a gain.
    """
    variance = readings.clamp(min=0) / counts_per_unit + dark_variance
    factor = torch.as_tensor(factor, dtype=readings.dtype, device=readings.device)
    return Counted((readings - dark) * factor, variance * factor.square())


def transmission(i0: Counted, it: Counted) -> Counted:
    """Return μ·t = ln(I0 / It), with variance var I0 / I0² + var It / It².

    The reference behind the sample is the same with It and Ir in place of I0 and It.
    """
    return Counted((i0.value / it.value).log(), i0.relative + it.relative)


def fluorescence(i0: Counted, channels: Counted, used: Tensor) -> Counted:
    """Return F / I0 with F = Σ f over the used channels.

    `channels` and the mask `used` are `batch x points x channels` (the mask may be
    smaller and is broadcast). The variance is Σ var f / I0² + (F / I0)² var I0 / I0².
    """
    total = torch.where(used, channels.value, 0.0).sum(-1)
    variance = torch.where(used, channels.variance, 0.0).sum(-1)
    value = total / i0.value
    noise = variance / i0.value.square() + value.square() * i0.relative
    return Counted(value, noise)


def covariance_with_reference(it: Counted) -> Tensor:
    """Return the covariance of ln(I0 / It) with its own reference ln(It / Ir).

    Both contain It: cov = -var It / It², in the shape of `it`. The variance of the
    difference of the two is thus larger than the sum of their variances.
    """
    return -it.relative


def covariance_of_yield(i0: Counted, fluorescence_yield: Tensor) -> Tensor:
    """Return the covariance of F / I0 with ln(I0 / It), measured with one I0.

    cov = -(F / I0) var I0 / I0², in the shape of `fluorescence_yield` (F / I0).
    """
    return -fluorescence_yield * i0.relative


def difference(first: Counted, second: Counted, covariance: Tensor) -> Counted:
    """Return first - second with var = var₁ + var₂ - 2 cov, all of one shape."""
    variance = first.variance + second.variance - 2 * covariance
    return Counted(first.value - second.value, variance.clamp(min=0))
