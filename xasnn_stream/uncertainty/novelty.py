"""How unlike the training domain a difference spectrum is: one score.

Theory is not experiment: differences of measured particles carry structure that no
computed particle has, and a score calibrated on theory alone rejects every real sample.
The distance is therefore measured with the covariance of theory *plus* that of the
theory–experiment misfit, a smooth random curve, plus counting noise:

    Σ = Σ_theory + Σ_misfit + σ² 1

In the eigenvectors of the first two the noise of each spectrum enters exactly. The score
is the root mean square of the standardized coordinates, separately for the few leading
directions, in which theory lives, and for the rest, and the larger of the two: an oxide's
white line is far out in the former, a glitch in the latter, and a mean over all would
hide either.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEADING = 12
"""Directions that hold all but 1e-3 (rms of the step) of the training differences."""


@dataclass(frozen=True, slots=True, eq=False)
class NoveltySpace:
    """Mean (`bins`), eigenvectors (`bins x bins`, columns), eigenvalues, ascending."""

    mean: Tensor
    vectors: Tensor
    values: Tensor


def fit_novelty(theory: Tensor, misfit: Tensor) -> NoveltySpace:
    """Build the space from theory draws, `draws x bins`, and a misfit covariance."""
    mean = theory.mean(0)
    centred = theory - mean
    covariance = centred.T @ centred / theory.shape[0] + misfit
    values, vectors = torch.linalg.eigh(covariance)
    return NoveltySpace(mean, vectors, values.clamp(min=0))


def misfit_covariance(x: Tensor, rms: float, length_ev: float) -> Tensor:
    """Return the covariance of a smooth random curve, `bins x bins`.

    Matérn 3/2: rms² (1 + √3 r/l) exp(-√3 r/l), with r = |x - x'| in eV. Its curves have
    a slope but may bend anywhere, as errors of white line and edge do.
    """
    distance = math.sqrt(3.0) * (x.unsqueeze(-1) - x).abs() / length_ev
    return rms**2 * (1 + distance) * torch.exp(-distance)


def novelty_score(space: NoveltySpace, difference: Tensor, noise: Tensor) -> Tensor:
    """Return the score of each spectrum, `batch`.

    `difference` is `batch x bins`, `noise` (`batch`) its standard deviation per bin.
    """
    coordinate = (difference - space.mean) @ space.vectors
    variance = space.values + noise.square().unsqueeze(-1)
    standardized = coordinate.square() / variance.clamp(min=1e-12)
    leading = standardized[..., -LEADING:].mean(-1)
    rest = standardized[..., :-LEADING].mean(-1)
    return torch.maximum(leading, rest).sqrt()
