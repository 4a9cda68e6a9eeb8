"""How unlike the training domain a difference spectrum is, in three ways.

Theory is not experiment: differences of measured particles carry structure that no
computed particle has, and a score calibrated on theory alone rejects every real sample.
Distances are therefore measured with the covariance of theory *plus* that of the
theory–experiment misfit, a smooth random curve, plus counting noise:

    Σ = Σ_theory + Σ_misfit + σ² 1

In the eigenvectors of the first two the noise of each spectrum enters exactly.

- `leading`: root mean square of the standardized coordinates in the few leading
  directions, in which theory lives; a compound is far out there.
- `rest`: the same of all others; a glitch or a jump is far out there. A mean over all
  directions would hide either.
- `white_line`: how much of an oxide's white line t is in the spectrum d, by generalized
  least squares, a = tᵀ Σ⁻¹ (d - mean) / tᵀ Σ⁻¹ t. One direction, one sign: it sees a
  third of an oxide where a root mean square over many directions sees nothing.

Each is divided by its own limit; the score is the largest, and above 1 is novel. A
white line is doubted from half its limit on: as much a normalization may add.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEADING = 12
"""Directions that hold all but 1e-3 (rms of the step) of the training differences."""

TESTS = ("leading", "rest", "white_line")
"""What is tested, in the order of the last axis of `novelty_tests`."""

DOUBTED_FROM = {"leading": 1.0, "rest": 1.0, "white_line": 0.5}
"""Share of its limit from which a test speaks against believing an estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class NoveltySpace:
    """Where novelty is measured.

    `mean` (`bins`), eigenvectors (`bins x bins`, columns) and eigenvalues, ascending;
    `white_line` (`bins`) is what a full oxide adds to a difference spectrum, `limits`
    (`tests`) are the values above which a test fires.
    """

    mean: Tensor
    vectors: Tensor
    values: Tensor
    white_line: Tensor
    limits: Tensor


def fit_novelty(theory: Tensor, misfit: Tensor, white_line: Tensor) -> NoveltySpace:
    """Build the space, with limits of one, from theory draws and a misfit covariance.

    `theory` is `draws x bins`, `misfit` `bins x bins`, `white_line` `bins`.
    """
    mean = theory.mean(0)
    centred = theory - mean
    covariance = centred.T @ centred / theory.shape[0] + misfit
    values, vectors = torch.linalg.eigh(covariance)
    limits = torch.ones(len(TESTS), dtype=mean.dtype)
    return NoveltySpace(mean, vectors, values.clamp(min=0), white_line, limits)


def misfit_covariance(x: Tensor, rms: float, length_ev: float) -> Tensor:
    """Return the covariance of a smooth random curve, `bins x bins`.

    Matérn 3/2: rms² (1 + √3 r/l) exp(-√3 r/l), with r = |x - x'| in eV. Its curves have
    a slope but may bend anywhere, as errors of white line and edge do.
    """
    distance = math.sqrt(3.0) * (x.unsqueeze(-1) - x).abs() / length_ev
    return rms**2 * (1 + distance) * torch.exp(-distance)


def novelty_tests(space: NoveltySpace, difference: Tensor, noise: Tensor) -> Tensor:
    """Return each test's value over its limit, `batch x tests`.

    `difference` is `batch x bins`, `noise` (`batch`) its standard deviation per bin.
    """
    coordinate = (difference - space.mean) @ space.vectors
    weight = 1 / (space.values + noise.square().unsqueeze(-1)).clamp(min=1e-12)
    standardized = coordinate.square() * weight
    line = space.white_line @ space.vectors
    share = (coordinate * weight) @ line / (weight @ line.square())
    tests = (
        standardized[..., -LEADING:].mean(-1).sqrt(),
        standardized[..., :-LEADING].mean(-1).sqrt(),
        share,
    )
    return torch.stack(tests, -1) / space.limits


def doubted(tests: Tensor) -> Tensor:
    """Return whether any test speaks against a spectrum, `batch`."""
    return (tests > torch.tensor([DOUBTED_FROM[test] for test in TESTS])).any(-1)
