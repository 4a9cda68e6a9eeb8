"""Scores of point estimates and of intervals, per descriptor.

Draws may carry a weight (`draws`, any positive scale): where many spectra are drawn of
one particle, the particle counts once. Without weights all draws count alike.
"""

import math

import torch
from torch import Tensor

_VARIES = 1e-9
"""Weighted variance below which a truth counts as constant."""


def mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the weighted mean over draws; `draws x outputs` → `outputs`."""
    return _share(values, weight) @ values


def quantile(values: Tensor, level: float, weight: Tensor | None = None) -> Tensor:
    """Return the smallest value at or below which lies `level` of the weight, `outputs`."""
    share = _share(values, weight)
    order = values.argsort(0)
    reached = (share[order].cumsum(0) < level - 1e-9).sum(0)
    index = reached.clamp(max=values.shape[0] - 1).unsqueeze(0)
    return values.gather(0, order.gather(0, index)).squeeze(0)


def coverage(
    truth: Tensor, low: Tensor, high: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return the share of truths inside their interval; `draws x outputs` → `outputs`."""
    return mean(((truth >= low) & (truth <= high)).to(truth.dtype), weight)


def winkler(
    truth: Tensor,
    low: Tensor,
    high: Tensor,
    level: float,
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean interval score, smaller is better, `outputs`.

    (high - low) + 2/α · (low - y)₊ + 2/α · (y - high)₊ with α = 1 - level
    (Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007)).
    """
    penalty = 2.0 / (1.0 - level)
    below = (low - truth).clamp(min=0)
    above = (truth - high).clamp(min=0)
    return mean((high - low) + penalty * (below + above), weight)


def crps(
    truth: Tensor, value: Tensor, std: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return the mean continuous ranked probability score of normals, `outputs`.

    σ [z (2Φ(z) - 1) + 2φ(z) - 1/√π] with z = (y - μ)/σ, in the unit of the descriptor,
    smaller is better (Gneiting and Raftery 2007, eq. 21).
    """
    z = (truth - value) / std
    cumulative = torch.special.ndtr(z)
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    score = z * (2 * cumulative - 1) + 2 * density - 1 / math.sqrt(math.pi)
    return mean(std * score, weight)


def standardized(
    truth: Tensor, value: Tensor, std: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of z = (y - μ)/σ, `outputs` each."""
    z = (truth - value) / std
    centre = mean(z, weight)
    return centre, mean((z - centre).square(), weight).sqrt()


def spearman(first: Tensor, second: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the rank correlation of two columns each, `outputs`; NaN if one is constant.

    Ranks are among all draws, equal values in their order; weights enter the
    correlation of the ranks.
    """
    ranks = [
        values.argsort(0).argsort(0).to(torch.float64) for values in (first, second)
    ]
    a, b = (rank - mean(rank, weight) for rank in ranks)
    variance = mean(a.square(), weight) * mean(b.square(), weight)
    constant = (first == first[:1]).all(0) | (second == second[:1]).all(0)
    return torch.where(
        constant, torch.nan, mean(a * b, weight) / variance.clamp(min=_VARIES).sqrt()
    )


def r2(truth: Tensor, value: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return 1 - SSE/SST, `outputs`; NaN where the truth does not vary."""
    total = mean((truth - mean(truth, weight)).square(), weight)
    total = torch.where(total > _VARIES, total, torch.nan)
    return 1.0 - mean((truth - value).square(), weight) / total


def auroc(inside: Tensor, outside: Tensor) -> float:
    """Return the probability that an outside score exceeds an inside score.

    Equal scores count half, so that identical samples give 1/2.
    """
    ordered = inside.sort().values
    below = torch.searchsorted(ordered, outside, right=False)
    not_above = torch.searchsorted(ordered, outside, right=True)
    return float((below + not_above).double().mean() / (2 * inside.numel()))


def _share(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return torch.full_like(values[:, 0], 1.0 / values.shape[0])
    return (weight / weight.sum()).to(values.dtype)
