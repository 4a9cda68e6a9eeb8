"""What both edges together gain on alloys that neither model saw.

Sites of an alloyed particle are a sample, so those of its two edges need not have as
many unlike bonds from both ends as whole particles do. Held against each other they are
therefore as parts of a sample of the composition for which they do:
x_B = C_AB / (C_AB + C_BA) by the true numbers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from xasnn_stream.bimetallic.intervals import (
    LEVEL,
    correlation_of,
    covariance_of,
    intervals_of,
    side_by_side,
)
from xasnn_stream.bimetallic.joint import joint_names
from xasnn_stream.bimetallic.reconcile import reconcile
from xasnn_stream.engine.model import Model
from xasnn_stream.library import Library
from xasnn_stream.library.alloys import is_sampled
from xasnn_stream.spectrum import FloatArray
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.training.samples import whole_particles
from xasnn_stream.training.scored import drawn_under, score

_CONDITION = "N1"
_SEED = 13
_LEAST_UNLIKE = 0.1
"""Unlike neighbours together below this tell no composition."""


@dataclass(frozen=True, slots=True, eq=False)
class EdgeScores:
    """Estimates of one edge of alloys it never saw, and the truth, `draws x 2` each.

    `low` and `high` bound the 90 % intervals, `correlation` (`2 x 2`) is of the errors.
    """

    names: tuple[str, str]
    truth: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    correlation: FloatArray

    def covariance(self, draw: int) -> FloatArray:
        """Return the covariance of a draw's numbers, `2 x 2`."""
        return covariance_of(
            self.value[draw], self.low[draw], self.high[draw], self.correlation
        )


def common_alloys(first: Recipe, second: Recipe) -> tuple[str, ...]:
    """Return the held-out alloys of which sites of both elements were sampled."""
    return tuple(
        name for name in first.held_out if is_sampled(name) and name in second.held_out
    )


def edge_scores(
    model: Model,
    recipe: Recipe,
    library: Library,
    partner: str,
    alloys: tuple[str, ...],
) -> EdgeScores:
    """Estimate alloys under N1, in the same order whatever the edge.

    `partner` is the other element.
    """
    own, unlike, *_ = joint_names(library.element, partner)
    samples = whole_particles(library, alloys, "held-out")
    rng = torch.Generator().manual_seed(_SEED)
    weights = samples.weights
    drawn, known = drawn_under(model, recipe, library, weights, _CONDITION, rng)
    found = score(model, drawn, known, samples.owners)
    places = [model.descriptors.index(name) for name in (own, unlike)]
    low, high = found.intervals[LEVEL]
    truth, value, low, high = (
        tensor[:, places].cpu().numpy()
        for tensor in (found.truth, found.value, low, high)
    )
    calibration = model.manifest["calibration"]
    correlation = correlation_of(calibration, model.descriptors, (own, unlike))
    return EdgeScores((own, unlike), truth, value, low, high, correlation)


def joint_scores(
    first: EdgeScores, second: EdgeScores, particles: int
) -> dict[str, Any]:
    """Return MAE, coverage and width by descriptor, of each edge alone and together.

    `particles` are behind the draws.
    """
    names = (*first.names, *second.names)
    truth, alone, low, high = (
        np.hstack((getattr(first, of), getattr(second, of)))
        for of in ("truth", "value", "low", "high")
    )
    together, lower, upper = (np.empty_like(truth) for _ in range(3))
    for draw, share in enumerate(_shares(truth)):
        covariance = side_by_side(first.covariance(draw), second.covariance(draw))
        found = reconcile(alone[draw], covariance, share)
        together[draw] = found.values
        lower[draw], upper[draw] = intervals_of(found.values, found.covariance)
    return {
        "condition": _CONDITION,
        "n": len(truth),
        "n_particles": particles,
        "alone": _numbers(names, truth, alone, low, high),
        "together": _numbers(names, truth, together, lower, upper),
    }


def _shares(truth: FloatArray) -> list[float | None]:
    """Return for every draw the share of B atoms that its true numbers imply."""
    return [
        float(ab / (ab + ba)) if ab + ba > _LEAST_UNLIKE else None
        for ab, ba in zip(truth[:, 1], truth[:, 3], strict=True)
    ]


def _numbers(
    names: tuple[str, ...],
    truth: FloatArray,
    value: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> dict[str, dict[str, float]]:
    columns = {
        "mae": np.abs(value - truth).mean(0),
        "coverage": ((low <= truth) & (truth <= high)).mean(0),
        "width90": np.median(high - low, 0),
    }
    return {
        key: {n: round(float(v), 4) for n, v in zip(names, of, strict=True)}
        for key, of in columns.items()
    }
