"""Calibrating intervals on particles a member never saw, and the limits of novelty."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xasnn_stream.engine.inference import Scaling, decompose, member_means
from xasnn_stream.library import BULK, Library
from xasnn_stream.physics.white_line import WhiteLine, white_line
from xasnn_stream.training.fit import fit_ridge, ridge_features
from xasnn_stream.training.mixtures import draw, labels, particle_weights, without
from xasnn_stream.training.nuisances import Stage, differences
from xasnn_stream.training.pool import (
    Pool,
    Split,
    held_out_sites,
    training_structures,
)
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.uncertainty.conformal import particle_quantile
from xasnn_stream.uncertainty.novelty import (
    DOUBTED_FROM,
    TESTS,
    NoveltySpace,
    fit_novelty,
    misfit_covariance,
    novelty_tests,
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

    A particle is scored without the sites it shares with held-out ones, as it is
    trained on. A single member errs more than the ensemble, so the intervals err on the
    wide side.
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
    """Return draws of one particle at every scale, alone and with a bulk fraction.

    Sites shared with held-out particles are left out.
    """
    banned = held_out_sites(library, recipe.held_out)
    blocks: list[Tensor] = []
    for scale in library.scales:
        if name not in library.complete(scale):
            continue
        alone = without(library, name, scale, banned)
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
) -> NoveltySpace:
    """Return the novelty space with its limits, theory–experiment misfit included.

    Theory misses a measured foil by a known share of its fine structure; it is expected
    to miss a difference spectrum by the same share of that difference. The limit of the
    white line is set on whole particles alone: in that direction measured metals lie
    where theory does, and loose sites, which no sample is made of, do not.
    """
    settings = recipe.novelty
    inside = on.x > 0
    fine_structure = (on.foil - on.atomic)[inside].square().mean().sqrt()
    share = settings.foil_misfit_rms / float(fine_structure)
    kit = training_structures(library, recipe, parts)
    weights = draw(kit, recipe.mixtures, _NOVELTY_DRAWS, rng)
    silent = replace(recipe.nuisances, noise=(0.0, 0.0), foil_noise=(0.0, 0.0))
    seed = int(torch.randint(2**31, (1,), generator=rng))
    clean, oxidized = (
        differences(there, weights, silent, torch.Generator().manual_seed(seed)).values
        for there in (on, _oxidized(on, settings.white_line))
    )
    size = clean.double().square().mean(-1).sqrt()
    typical = float(size.median())
    grid = on.grid.double()
    misfit = misfit_covariance(grid, share * typical, settings.length_ev)
    line = (oxidized - clean).double().mean(0)
    space = fit_novelty(clean.double(), misfit, line)
    variance, directions = torch.linalg.eigh(misfit)
    factor = directions * variance.clamp(min=0).sqrt()
    missed = torch.randn(clean.shape, generator=rng).double() @ factor.T
    measured = clean + missed * (size / typical).unsqueeze(-1)
    tests = novelty_tests(space, measured, torch.zeros(len(clean)).double())
    limits = tests.quantile(settings.level, dim=0)
    particles = torch.cat(
        [_left_out(library, recipe, name, rng) for name in parts.training]
    )
    drawn = differences(on, particles, recipe.nuisances, rng)
    tests = novelty_tests(space, drawn.values.double(), drawn.noise[:, 0].double())
    doubted = tests[:, TESTS.index("white_line")].quantile(settings.level)
    limits[TESTS.index("white_line")] = doubted / DOUBTED_FROM["white_line"]
    return replace(space, limits=limits)


def _oxidized(on: Stage, line: WhiteLine) -> Stage:
    """Return the stage with an oxide's white line on every sample, not on the foil."""
    return replace(on, mu=on.mu + white_line(on.x, line))
