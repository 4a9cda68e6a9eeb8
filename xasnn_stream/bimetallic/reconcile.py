"""What two edges say of one sample, made to agree with each other.

Every A–B bond is counted once from each end: with x the shares of atoms,

    x_A · C_AB = x_B · C_BA .

The four numbers y = (C_AA, C_AB, C_BB, C_BA) nearest to those estimated, v with
covariance Σ, are the minimum of χ² = (y - v)ᵀ Σ⁻¹ (y - v) under this equation, where the
composition is known, with none negative and no atom with more neighbours than an atom
can have. A quadratic minimum under linear bounds lies where some of the bounds are
equations; of four numbers every choice of them can be tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from xasnn_stream.spectrum import FloatArray

MOST_NEIGHBOURS = 13.0
"""Bound of all first neighbours together: those of a close-packed crystal and one for
the error of an estimate, as in the domain of the models."""

CRITICAL_CHI2 = 6.63
"""Exceeded in one of a hundred cases where edges and composition do agree (one degree
of freedom)."""

_ROUNDING = 1e-9

_LEAST = np.vstack((np.eye(4), [[-1, -1, 0, 0], [0, 0, -1, -1]]))
_BOUND = np.array([0.0, 0.0, 0.0, 0.0, -MOST_NEIGHBOURS, -MOST_NEIGHBOURS])
"""Allowed is where `_LEAST @ y >= _BOUND`."""


@dataclass(frozen=True, slots=True, eq=False)
class Reconciled:
    """Numbers that agree: `values` (4) and `covariance` (`4 x 4`), ordered AA, AB, BB, BA.

    The covariance knows of the composition but not of the bounds: a number that was put
    on its bound is not certain. `chi2` is how far, in standard deviations squared, the
    numbers had to move. `share_b`, with its standard deviation, is the share of B atoms
    that the numbers imply by themselves, C_AB / (C_AB + C_BA); NaN where there are no
    unlike neighbours to tell it from.
    """

    values: FloatArray
    covariance: FloatArray
    chi2: float
    share_b: float
    share_b_std: float

    @property
    def consistent(self) -> bool:
        """Whether edges, composition and bounds agree within their errors."""
        return self.chi2 <= CRITICAL_CHI2


def reconcile(
    values: FloatArray, covariance: FloatArray, share_b: float | None = None
) -> Reconciled:
    """Return the allowed numbers nearest to the estimated ones.

    Parameters
    ----------
    values, covariance
        C_AA, C_AB, C_BB, C_BA as the edges of A and of B give them, `(4,)` and `4 x 4`,
        positive definite.
    share_b
        Share of B among all atoms of A and B, 0 to 1; None where it is not known. Then
        nothing ties the edges to each other, and only the bounds can move a number.
    """
    ties = np.zeros((0, 4))
    if share_b is not None:
        ties = np.array([[0.0, 1.0 - share_b, 0.0, -share_b]])
    best, chi2 = values, np.inf
    for bounds in _choices(most=4 - len(ties)):
        rows = np.vstack((ties, _LEAST[bounds]))
        goal = np.concatenate((np.zeros(len(ties)), _BOUND[bounds]))
        if np.linalg.matrix_rank(rows) < len(rows):
            continue
        found, moved = _project(values, covariance, rows, goal)
        if moved < chi2 and (_LEAST @ found >= _BOUND - _ROUNDING).all():
            best, chi2 = found, moved
            if not bounds:
                break  # the minimum without bounds lies inside them
    return Reconciled(
        best,
        _tied(covariance, ties),
        float(chi2),
        *_implied(values, covariance),
    )


def _choices(most: int) -> Iterator[list[int]]:
    """Yield every choice of bounds that may be equations at once, none first."""
    for count in range(most + 1):
        yield from map(list, combinations(range(len(_BOUND)), count))


def _project(
    values: FloatArray, covariance: FloatArray, rows: FloatArray, goal: FloatArray
) -> tuple[FloatArray, float]:
    """Return the nearest point where `rows @ y = goal`, and its χ²."""
    if not len(rows):
        return values, 0.0
    off = rows @ values - goal
    pull = np.linalg.solve(rows @ covariance @ rows.T, off)
    return values - covariance @ rows.T @ pull, float(off @ pull)


def _tied(covariance: FloatArray, ties: FloatArray) -> FloatArray:
    """Return the covariance once the equations of `ties` are known to hold."""
    if not len(ties):
        return covariance
    cross = covariance @ ties.T
    return covariance - cross @ np.linalg.solve(ties @ cross, cross.T)


def _implied(values: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Return the share of B by the unlike neighbours, and its standard deviation.

    To first order in the errors; NaN where the sum of the unlike neighbours is not
    above its own error.
    """
    ab, ba = np.clip(values[[1, 3]], 0.0, None)
    unlike = covariance[np.ix_([1, 3], [1, 3])]
    total = ab + ba
    if total <= np.sqrt(unlike.sum()):
        return np.nan, np.nan
    slope = np.array([ba, -ab]) / total**2
    return float(ab / total), float(np.sqrt(slope @ unlike @ slope))
