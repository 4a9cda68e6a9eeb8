"""How unlike the training domain a difference spectrum is, test by test.

Theory is not experiment: differences of measured particles carry structure that no
computed particle has, and a score calibrated on theory alone rejects every real sample.
Distances are therefore measured with the covariance of theory *plus* that of the
theory–experiment misfit, a smooth random curve, plus counting noise:

    Σ = Σ_theory + Σ_misfit + (σ² + σ₀²) 1

σ₀ being what theory misses from one bin to the next. In the eigenvectors of the first two
the noise of each spectrum enters exactly. With d the spectrum less the mean:

- `leading`: root mean square of the standardized coordinates in the few leading
  directions, in which theory lives; another element or a compound is far out there.
- `rest`: the same of all others. A mean over all directions would hide either.
- `glitch`: the bin that fits worst to all others, max |(Σ⁻¹ d)ᵢ| / √(Σ⁻¹)ᵢᵢ.
- `FILTERS`: how much of a known flaw t is in the spectrum, by generalized least squares,
  a = tᵀ Σ⁻¹ d / tᵀ Σ⁻¹ t. One direction sees a third of an oxide where a mean over many
  sees nothing; where only one sign means the flaw, only that sign counts.

A test's value is brought to one scale, (value - typical) / (limit - typical): zero is the
median of what belongs to the domain, 1 novel, `DOUBTED_FROM` what one spectrum in
hundreds of the domain reaches. The score is the largest.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEADING = 12
"""Directions that hold all but 1e-3 (rms of the step) of the training differences."""

ROUGHNESS = 0.003
"""σ₀, in edge steps: cold particles have structure sharper than theory's."""

ONE_SIGNED = ("white_line", "chloride", "damped")
EITHER_SIGN = ("edge_step", "slope")
FILTERS = ONE_SIGNED + EITHER_SIGN
"""Flaws that are looked for by their shape."""

TESTS = ("leading", "rest", "glitch", *FILTERS)
"""What is tested, in the order of the last axis of `novelty_tests`."""

DOUBTED_FROM = 0.25
"""From which score on a test speaks against believing an estimate."""

MAX_EDGE_SHIFT_EV = 1.5
"""A metal's edge lies closer than this to where those of particles do; farther away is
another element, state or calibration."""


@dataclass(frozen=True, slots=True, eq=False)
class NoveltySpace:
    """Where novelty is measured.

    `mean` (`bins`), eigenvectors (`bins x bins`, columns) and eigenvalues, ascending;
    `shapes` (`filters x bins`) is what each flaw adds to a difference spectrum; `typical`
    and `limits` (`tests`) are what belongs to the domain and what is novel. `edge_shift`
    (one number, eV) is where edges of particles lie on average against the foil's.
    """

    mean: Tensor
    vectors: Tensor
    values: Tensor
    shapes: Tensor
    typical: Tensor
    limits: Tensor
    edge_shift: Tensor


def fit_novelty(theory: Tensor, misfit: Tensor, shapes: Tensor) -> NoveltySpace:
    """Build the space, `typical` of zero and limits of one, from draws and a misfit.

    `theory` is `draws x bins`, `misfit` a covariance (`bins x bins`), `shapes`
    `filters x bins`.
    """
    mean = theory.mean(0)
    centred = theory - mean
    covariance = centred.T @ centred / theory.shape[0] + misfit
    values, vectors = torch.linalg.eigh(covariance)
    zero = torch.zeros(len(TESTS), dtype=mean.dtype)
    return NoveltySpace(
        mean, vectors, values.clamp(min=0), shapes, zero, zero + 1, zero[0]
    )


def misfit_covariance(x: Tensor, rms: float, length_ev: float) -> Tensor:
    """Return the covariance of a smooth random curve, `bins x bins`.

    Matérn 3/2: rms² (1 + √3 r/l) exp(-√3 r/l), with r = |x - x'| in eV. Its curves have
    a slope but may bend anywhere, as errors of white line and edge do.
    """
    distance = math.sqrt(3.0) * (x.unsqueeze(-1) - x).abs() / length_ev
    return rms**2 * (1 + distance) * torch.exp(-distance)


def curves_of(covariance: Tensor) -> Tensor:
    """Return one-standard-deviation curves that make up a covariance, `curves x bins`.

    White noise times them is a draw.
    """
    variance, directions = torch.linalg.eigh(covariance)
    return (directions * variance.clamp(min=0).sqrt()).T


def novelty_tests(space: NoveltySpace, difference: Tensor, noise: Tensor) -> Tensor:
    """Return each test's score, `batch x tests`.

    `difference` is `batch x bins`, `noise` (`batch`) its standard deviation per bin.
    """
    coordinate = (difference - space.mean) @ space.vectors
    weight = 1 / (space.values + noise.square().unsqueeze(-1) + ROUGHNESS**2)
    weighted = coordinate * weight
    standardized = coordinate * weighted
    precision = weight @ space.vectors.T.square()
    misfit = (weighted @ space.vectors.T).abs() / precision.sqrt()
    shapes = space.shapes @ space.vectors
    share = (weighted @ shapes.T) / (weight @ shapes.T.square())
    found = torch.cat(
        (
            standardized[..., -LEADING:].mean(-1, keepdim=True).sqrt(),
            standardized[..., :-LEADING].mean(-1, keepdim=True).sqrt(),
            misfit.amax(-1, keepdim=True),
            share[..., : len(ONE_SIGNED)],
            share[..., len(ONE_SIGNED) :].abs(),
        ),
        -1,
    )
    return (found - space.typical) / (space.limits - space.typical)


def edge_shift_score(space: NoveltySpace, shift_ev: Tensor) -> Tensor:
    """Return the score of edges this far from their foils' (eV); zero where unknown.

    Aligned spectra do not show it, so no test of the difference can.
    """
    away = (shift_ev - space.edge_shift).abs()
    return DOUBTED_FROM * away.nan_to_num(0.0) / MAX_EDGE_SHIFT_EV


def doubted(tests: Tensor) -> Tensor:
    """Return whether any test speaks against a spectrum, `batch`."""
    return (tests > DOUBTED_FROM).any(-1)
