"""Calibrating intervals on particles a member never saw."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.engine.inference import Scaling, decompose, member_means
from xasnn_stream.library import Library
from xasnn_stream.training.conditions import OWN, conditions
from xasnn_stream.training.fit import fit_ridge, ridge_features
from xasnn_stream.training.mixtures import draw, labels
from xasnn_stream.training.nuisances import Stage, differences
from xasnn_stream.training.pool import Pool, Split, draws_of, training_structures
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.uncertainty.conformal import particle_quantile

MARGIN = 0.015
"""By so much mixtures of known sites may be covered too often for the sake of others."""

_MIXTURES = 4000


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Quantiles of |truth - value| / std by level, `outputs` each, and where from.

    `left_out` are those of training particles by members that never saw them, each of
    the `particles` with weight one; `mixtures` those of fresh draws of what was trained
    on. `quantiles` are published. `correlation` (`outputs x outputs`) is that of the
    signed errors of mixtures; `ridge_quantiles` are absolute errors of the baseline.
    """

    quantiles: dict[float, Tensor]
    left_out: dict[float, Tensor]
    mixtures: dict[float, Tensor]
    particles: int
    correlation: Tensor
    ridge_quantiles: dict[float, Tensor]


def calibrate(
    library: Library,
    recipe: Recipe,
    parts: Split,
    on: Stage,
    pool: Pool,
    scaling: Scaling,
    parameters: dict[str, Tensor],
    rng: torch.Generator,
) -> Calibration:
    """Calibrate intervals on left-out particles, bounded by what mixtures allow.

    Members that never saw a particle are fewer than the ensemble and err more, so their
    quantiles are too large by an unknown amount. Published is the smaller of them and of
    the quantile that covers mixtures of known sites by `MARGIN` too often; how often
    that covers held-out particles is measured beside it.
    """
    levels = recipe.calibration.levels
    scores, ridge_scores, owners = _of_left_out(
        library, recipe, parts, on, pool, scaling, parameters, rng
    )
    errors = _of_mixtures(library, recipe, parts, on, scaling, parameters, rng)
    spread = errors.abs()
    left_out = {at: particle_quantile(scores, owners, at) for at in levels}
    mixtures = {at: spread.quantile(at + MARGIN, dim=0) for at in levels}
    return Calibration(
        quantiles={at: torch.minimum(left_out[at], mixtures[at]) for at in levels},
        left_out=left_out,
        mixtures=mixtures,
        particles=int(owners.unique().numel()),
        correlation=torch.corrcoef(errors.T),
        ridge_quantiles={
            at: particle_quantile(ridge_scores, owners, at) for at in levels
        },
    )


def _of_left_out(
    library: Library,
    recipe: Recipe,
    parts: Split,
    on: Stage,
    pool: Pool,
    scaling: Scaling,
    parameters: dict[str, Tensor],
    rng: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores of the ensemble and of ridge, and the particle each draw is of.

    A particle is scored without the sites it shares with held-out ones, as it is
    trained on, and by the members that never saw it.
    """
    scores: list[Tensor] = []
    ridge_scores: list[Tensor] = []
    owners: list[Tensor] = []
    ridges: dict[int, Tensor] = {}
    for label, name in enumerate(parts.training):
        unseen_by = [k for k, fold in enumerate(parts.folds) if name in fold]
        if not unseen_by:
            continue
        first = unseen_by[0]
        if first not in ridges:
            rows = pool.allowed[:, first].nonzero().squeeze(-1)
            ridges[first] = fit_ridge(pool, scaling, recipe.fit.ridge, rows)
        weights = draws_of(library, recipe, name, rng)
        drawn = differences(on, weights, recipe.nuisances, rng)
        truth = labels(library, weights, recipe.descriptors)
        value = member_means(parameters, scaling, drawn)[unseen_by].mean(0)
        spread = decompose(parameters, scaling, drawn).std
        scores.append((truth - value).abs() / spread)
        linear = ridge_features(scaling, drawn.values) @ ridges[first]
        linear = linear * scaling.output_scale + scaling.output_mean
        ridge_scores.append((truth - linear).abs())
        owners.append(torch.full((len(weights),), label))
    return torch.cat(scores), torch.cat(ridge_scores), torch.cat(owners)


def _of_mixtures(
    library: Library,
    recipe: Recipe,
    parts: Split,
    on: Stage,
    scaling: Scaling,
    parameters: dict[str, Tensor],
    rng: torch.Generator,
) -> Tensor:
    """Return (truth - value) / std of fresh draws, half of them as N1 is evaluated."""
    kit = training_structures(library, recipe, parts)
    errors: list[Tensor] = []
    of = conditions(recipe.nuisances)
    for nuisances in (of["N1"], of[OWN]):
        weights = draw(kit, recipe.mixtures, _MIXTURES, rng)
        drawn = differences(on, weights, nuisances, rng)
        found = decompose(parameters, scaling, drawn)
        truth = labels(library, weights, recipe.descriptors)
        errors.append((truth - found.value) / found.std)
    return torch.cat(errors)
