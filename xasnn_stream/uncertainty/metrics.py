"""Scores of point estimates and of intervals, per descriptor."""

import torch
from torch import Tensor


def coverage(truth: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the share of truths inside their interval; `draws x outputs` → `outputs`."""
    return ((truth >= low) & (truth <= high)).to(truth.dtype).mean(0)


def winkler(truth: Tensor, low: Tensor, high: Tensor, level: float) -> Tensor:
    """Return the mean interval score, smaller is better, `outputs`.

    (high - low) + 2/α · (low - y)₊ + 2/α · (y - high)₊ with α = 1 - level
    (Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007)).
    """
    penalty = 2.0 / (1.0 - level)
    below = (low - truth).clamp(min=0)
    above = (truth - high).clamp(min=0)
    return ((high - low) + penalty * (below + above)).mean(0)


def r2(truth: Tensor, value: Tensor) -> Tensor:
    """Return 1 - SSE/SST, `outputs`; NaN where the truth does not vary."""
    total = (truth - truth.mean(0)).square().sum(0)
    total = torch.where(total > 1e-9, total, torch.nan)
    return 1.0 - (truth - value).square().sum(0) / total


def auroc(inside: Tensor, outside: Tensor) -> float:
    """Return the probability that an outside score exceeds an inside score.

    Equal scores count half, so that identical samples give 1/2.
    """
    ordered = inside.sort().values
    below = torch.searchsorted(ordered, outside, right=False)
    not_above = torch.searchsorted(ordered, outside, right=True)
    return float((below + not_above).double().mean() / (2 * inside.numel()))
