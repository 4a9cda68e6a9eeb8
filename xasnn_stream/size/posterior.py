"""The posterior over shapes and sizes, given coordination numbers and their covariance.

Likelihood Gaussian, shapes equally probable beforehand, and within each all sizes of its
table equally probable in log atoms:

    p(f, n | c) ∝ exp(-χ²/2) / sizes of f,    χ² = (c - c_f(n))ᵀ Σ⁻¹ (c - c_f(n))

Where no shape and size fits, Σ is stretched until the best one just does, so that a
misfit widens what is said instead of being ignored.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.size.families import families
from xasnn_stream.spectrum import FloatArray

WORST_FIT = 11.34
"""χ² that 1 % of particles of these shapes exceed: four numbers less the size."""

_BOUND = 2.71
"""χ² above the best at which a size is excluded with 95 % confidence, from one side."""
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is known of a particle.

    `atoms` are the lower end of the central 90 % interval, the median and the upper end.
    The upper end is infinite where the largest particle of a table (10 nm) cannot be
    excluded, unless it is a flat one; the lower is a table's smallest where that cannot
    be. By family, in the order of `families().names`: `probability`, and medians of
    `family_atoms` and `across` (edge to edge, in lattice constants), infinite where the
    family has no upper bound. `chi2` is that of the best fit.
    """

    atoms: tuple[float, float, float]
    probability: FloatArray
    family_atoms: FloatArray
    across: FloatArray
    chi2: float


def posterior(cn: FloatArray, covariance: FloatArray) -> Posterior:
    """Return the posterior of cn1…cn4 (`4`) with their covariance (`4 x 4`)."""
    known = families()
    off = known.cn - cn
    chi2 = ((off @ np.linalg.inv(covariance)) * off).sum(-1)
    best = float(chi2.min())
    above = (chi2 - best) * WORST_FIT / max(best, WORST_FIT)
    weight = np.exp(-above / 2)
    weight /= weight.sum()
    by_size = _order()
    low, median, high = _quantiles(
        known.atoms.ravel()[by_size], weight.ravel()[by_size]
    )
    smallest = known.atoms[above[:, 0] < _BOUND, 0]
    unbounded = (above[:, -1] < _BOUND) & ~known.flat
    middle = np.argmax(weight.cumsum(1) >= weight.sum(1, keepdims=True) / 2, axis=1)
    row = np.arange(len(known.names))
    return Posterior(
        atoms=(
            float(min([low, *smallest])),
            median,
            np.inf if bool(unbounded.any()) else high,
        ),
        probability=weight.sum(1),
        family_atoms=np.where(unbounded, np.inf, known.atoms[row, middle]),
        across=np.where(unbounded, np.inf, known.across[row, middle]),
        chi2=best,
    )


@cache
def _order() -> NDArray[np.intp]:
    """Return the order of all shapes' sizes by their atoms."""
    return np.argsort(families().atoms.ravel(), kind="stable")


def _quantiles(atoms: FloatArray, weight: FloatArray) -> tuple[float, float, float]:
    # Half a weight lies below its own size.
    share = np.cumsum(weight) - weight / 2
    low, median, high = np.exp(np.interp(_QUANTILES, share, np.log(atoms))).tolist()
    return low, median, high
