"""Filters for one level of noise, applied where noise changes along a spectrum.

A filter in the modes of a smooth prior reaches over a few points, and over a few points
the noise is constant. So a spectrum is filtered for each of a ladder of noise levels, and
each point takes what its own level gives: linear, and without a decomposition for every
course of the noise.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import math
from collections.abc import Callable

import torch
from torch import Tensor

_FACTOR = 2.0
_MOST_LEVELS = 8
"""Noise below the highest over 2⁷ is taken for that."""


def by_level(
    noise: Tensor, apply: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Return mean and relative variance with each point filtered for its own noise.

    `noise` is `rows x points`. `apply` takes a noise level (`rows`) and returns what
    the filter for it makes of the spectra, and the share of a point's noise variance
    that remains, each `rows x points`.
    """
    highest = noise.amax(-1)
    rung = (noise / highest.unsqueeze(-1)).log2() / math.log2(_FACTOR)
    rung = rung.clamp(min=1.0 - _MOST_LEVELS)
    count = 1 - int(rung.min().floor())
    mean, variance = torch.zeros_like(noise), torch.zeros_like(noise)
    for level in range(count):
        # Linear between the two levels around a point's own.
        weight = (1 - (rung + level).abs()).clamp(min=0)
        if bool((weight > 0).any()):
            found, remains = apply(highest / _FACTOR**level)
            mean += weight * found
            variance += weight * remains
    return mean, variance
