"""Between calibrated intervals and the covariance they stand for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xasnn_stream.bimetallic.reconcile import MOST_NEIGHBOURS
from xasnn_stream.spectrum import FloatArray

LEVEL = 0.9
"""Nominal coverage of the intervals that come in and go out."""

_HALF_WIDTH = 1.645
"""Half of a normal distribution's 90 % interval, in standard deviations."""

_LEAST_STD = 1e-6
"""An interval of no width would leave nothing to weigh."""


def covariance_of(
    values: FloatArray, low: FloatArray, high: FloatArray, correlation: FloatArray
) -> FloatArray:
    """Return the covariance of an edge's numbers; `low`, `high` bound their intervals.

    The longer side of an interval counts: the other may end at a bound.
    """
    reach = np.maximum(high - values, values - low)
    std = np.maximum(reach / _HALF_WIDTH, _LEAST_STD)
    return np.outer(std, std) * correlation


def side_by_side(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the covariance of two edges' numbers, whose errors are independent."""
    size = len(first)
    both = np.zeros((size + len(second),) * 2)
    both[:size, :size], both[size:, size:] = first, second
    return both


def intervals_of(
    values: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the 90 % intervals of numbers inside their bounds: low and high."""
    reach = _HALF_WIDTH * np.sqrt(np.diag(covariance).clip(min=0.0))
    low = np.minimum((values - reach).clip(min=0.0), values)
    return low, (values + reach).clip(max=MOST_NEIGHBOURS)


def correlation_of(
    calibration: Mapping[str, Any], descriptors: Sequence[str], names: Sequence[str]
) -> FloatArray:
    """Return how errors of some descriptors go together, by a model's calibration.

    `descriptors` are all of the model. Unity where it does not say.
    """
    stored = calibration.get("correlation")
    if stored is None:
        return np.eye(len(names))
    places = [descriptors.index(name) for name in names]
    return np.array(stored, float)[np.ix_(places, places)]
