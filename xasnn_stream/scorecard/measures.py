"""Measures that any set of spectra is scored with."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import math

import torch
from torch import Tensor

LAGS = 10


def decibels(before: Tensor, after: Tensor) -> float:
    """Return 10 lg (before / after), NaN where the truth is not known well enough."""
    ratio = float(before / after)
    return 10 * math.log10(ratio) if ratio > 0 else math.nan


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Return the mean of independent values and its standard error."""
    known = values[values.isfinite()]
    if len(known) < 2:
        return math.nan, math.nan
    return float(known.mean()), float(known.std() / math.sqrt(len(known)))


def whiteness(removed: Tensor, noise: Tensor) -> tuple[float, float]:
    """Return the largest mean autocorrelation and the share of spectra found white.

    `removed` (`spectra x points`) is what denoising took away, `noise` a point's standard
    deviation, same shape. The share is of those whose Ljung-Box statistic over lags 1
    to 10 does not refute white noise at 1 %; NaN where nothing was taken away.
    """
    scaled = removed / noise
    power = scaled.square().sum(-1)
    if not bool((power > 0).all()):
        return math.nan, math.nan
    points = scaled.shape[-1]
    found = torch.stack(
        [
            (scaled[:, lag:] * scaled[:, :-lag]).sum(-1) / power
            for lag in range(1, LAGS + 1)
        ]
    )
    left = points - torch.arange(1, LAGS + 1, dtype=found.dtype, device=found.device)
    statistic = points * (points + 2) * (found.square() / left[:, None]).sum(0)
    mean = found.mean(-1)
    extreme = float(mean[mean.abs().argmax()])
    return extreme, float((_chance(statistic) > 0.01).double().mean())


def _chance(statistic: Tensor) -> Tensor:
    """Return the chance of a χ² of ten degrees of freedom above a value."""
    half = statistic / 2
    terms = [half**power / math.factorial(power) for power in range(LAGS // 2)]
    return torch.exp(-half) * torch.stack(terms).sum(0)
