"""Calibrated intervals from left-out particles.

The exchangeable unit is the particle: however many spectra are drawn from it, each
particle has weight one. Scores are |truth - value| / std, so intervals are
value ± quantile · std.
"""

import torch
from torch import Tensor


def particle_quantile(scores: Tensor, particle: Tensor, level: float) -> Tensor:
    """Return the conformal quantile of scores, one weight per particle.

    Parameters
    ----------
    scores
        `draws x outputs`, non-negative.
    particle
        `draws`, integer label of the particle a draw belongs to.
    level
        Nominal coverage. With n particles the quantile is taken at
        level · (n + 1) / n, bounded by 1 (Vovk et al. 2005, split conformal).

    Returns
    -------
    quantile
        `outputs`.
    """
    labels, counts = particle.unique(return_counts=True)
    n = labels.numel()
    index = torch.searchsorted(labels, particle)
    weight = 1.0 / (counts[index].to(scores.dtype) * n)
    target = min(level * (n + 1) / n, 1.0)
    order = scores.argsort(0)
    cumulative = weight[order].cumsum(0)
    reached = (cumulative < target - 1e-6).sum(0).clamp(max=scores.shape[0] - 1)
    return scores.gather(0, order.gather(0, reached.unsqueeze(0))).squeeze(0)
