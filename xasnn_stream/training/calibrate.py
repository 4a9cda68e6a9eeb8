"""Calibrating intervals and the novelty threshold on particles a member never saw."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xasnn_stream.engine.inference import Scaling, decompose, member_means
from xasnn_stream.library import BULK, Library
from xasnn_stream.training.fit import fit_ridge, ridge_features
from xasnn_stream.training.mixtures import draw, labels, particle_weights
from xasnn_stream.training.nuisances import Stage, differences
from xasnn_stream.training.pool import Pool, Split, training_structures
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.uncertainty.conformal import particle_quantile
from xasnn_stream.uncertainty.novelty import (
    NoveltySpace,
    fit_novelty,
    misfit_covariance,
    novelty_score,
)

_NOVELTY_DRAWS = 8000


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Conformal quantiles by level (`outputs` each), for the ensemble and for ridge."""

    quantiles: dict[float, Tensor]
    ridge_quantiles: dict[float, Tensor]
    particles: int


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
    """Score every training particle with the member that never saw it.

    A single member errs more than the ensemble, so the intervals err on the wide side.
    """
    scores: list[Tensor] = []
    ridge_scores: list[Tensor] = []
    owner: list[Tensor] = []
    label = 0
    for member, fold in enumerate(parts.folds):
        rows = pool.allowed[:, member].nonzero().squeeze(-1)
        ridge = fit_ridge(pool, scaling, recipe.fit.ridge, rows)
        for name in fold:
            weights = _left_out(library, recipe, name, rng)
            drawn = differences(on, weights, recipe.nuisances, rng)
            truth = labels(library, weights, recipe.descriptors)
            spread = decompose(parameters, scaling, drawn).std
            value = member_means(parameters, scaling, drawn)[member]
            scores.append((truth - value).abs() / spread)
            linear = ridge_features(scaling, drawn.values) @ ridge
            linear = linear * scaling.output_scale + scaling.output_mean
            ridge_scores.append((truth - linear).abs())
            owner.append(torch.full((len(weights),), label))
            label += 1
    owners = torch.cat(owner)
    levels = recipe.calibration.levels
    return Calibration(
        {at: particle_quantile(torch.cat(scores), owners, at) for at in levels},
        {at: particle_quantile(torch.cat(ridge_scores), owners, at) for at in levels},
        label,
    )


def _left_out(
    library: Library, recipe: Recipe, name: str, rng: torch.Generator
) -> Tensor:
    """Return draws of one particle at every scale, alone and with a bulk fraction."""
    blocks: list[Tensor] = []
    for scale in library.scales:
        if name not in library.complete(scale):
            continue
        alone = particle_weights(library, name, scale)
        bulk = particle_weights(library, BULK, scale)
        count = recipe.calibration.draws
        share = torch.where(
            torch.rand(count, 1, generator=rng) < recipe.mixtures.bulk,
            torch.rand(count, 1, generator=rng),
            torch.zeros(count, 1),
        )
        blocks.append((1 - share) * alone + share * bulk)
    return torch.cat(blocks)


def calibrate_novelty(
    library: Library,
    recipe: Recipe,
    parts: Split,
    on: Stage,
    rng: torch.Generator,
) -> tuple[NoveltySpace, float]:
    """Return the novelty space and its threshold, theory–experiment misfit included.

    Theory misses a measured foil by a known share of its fine structure; it is expected
    to miss a difference spectrum by the same share of that difference.
    """
    inside = on.x > 0
    fine_structure = (on.foil - on.atomic)[inside].square().mean().sqrt()
    share = recipe.novelty.foil_misfit_rms / float(fine_structure)
    clean = _noiseless(library, recipe, parts, on, rng).double()
    size = clean.square().mean(-1).sqrt()
    typical = float(size.median())
    grid = on.grid.double()
    misfit = misfit_covariance(grid, share * typical, recipe.novelty.length_ev)
    space = fit_novelty(clean, misfit)
    variance, directions = torch.linalg.eigh(misfit)
    factor = directions * variance.clamp(min=0).sqrt()
    missed = torch.randn(clean.shape, generator=rng).double() @ factor.T
    measured = clean + missed * (size / typical).unsqueeze(-1)
    scores = novelty_score(space, measured, torch.zeros(len(clean)).double())
    return space, float(scores.quantile(recipe.novelty.level))


def _noiseless(
    library: Library, recipe: Recipe, parts: Split, on: Stage, rng: torch.Generator
) -> Tensor:
    kit = training_structures(library, recipe, parts)
    silent = replace(recipe.nuisances, noise=(0.0, 0.0), foil_noise=(0.0, 0.0))
    weights = draw(kit, recipe.mixtures, _NOVELTY_DRAWS, rng)
    return differences(on, weights, silent, rng).values
