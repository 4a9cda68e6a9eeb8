"""The space that novelty is measured in, and its limits."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from xasnn_stream.library import Library
from xasnn_stream.physics.instrument import absorb_again
from xasnn_stream.physics.white_line import WhiteLine, white_line
from xasnn_stream.training.mixtures import draw
from xasnn_stream.training.novelty_families import Compound, chloride
from xasnn_stream.training.nuisances import (
    Measured,
    Stage,
    differences,
    measured,
    subtracted,
)
from xasnn_stream.training.pool import Split, draws_of, training_structures
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.uncertainty.novelty import (
    DOUBTED_FROM,
    FILTERS,
    TESTS,
    NoveltySpace,
    curves_of,
    fit_novelty,
    misfit_covariance,
    novelty_tests,
)

_DRAWS = 8000
_SEED = 1
"""Added to the recipe's seed, so that novelty does not depend on how long was trained."""

_DAMPING, _STEP, _SLOPE, _SHARE = 0.1, 0.03, 0.03, 0.3
"""Sizes at which the shapes of flaws are taken; they are nearly linear there."""

_LEAST_DAMPED = 0.1
"""Two laboratories' foils of one metal differ by up to 0.08."""

_UNSHAPED = len(TESTS) - len(FILTERS)
"""Tests that look for no shape come first."""

_CHLORIDE = Compound(WhiteLine(at_ev=3.0, fwhm_ev=6.0, height=0.3), 0.1, 3.6, 3.6)
"""What is looked for; no real compound is as assumed."""


def calibrate_novelty(
    library: Library, recipe: Recipe, parts: Split, on: Stage
) -> NoveltySpace:
    """Return the novelty space with its limits, theory–experiment misfit included.

    Theory misses a measured foil by a known share of its fine structure; it is expected
    to miss a difference spectrum by the same share of that difference. Limits are set on
    training particles alone and with bulk, so that all tests together doubt one spectrum
    in a hundred (`level`): loose sites, which no sample is made of, set none.
    """
    settings = recipe.novelty
    rng = torch.Generator().manual_seed(recipe.seed + _SEED)
    inside = on.x > 0
    fine_structure = (on.foil - on.atomic)[inside].square().mean().sqrt()
    share = settings.foil_misfit_rms / float(fine_structure)
    kit = training_structures(library, recipe, parts)
    weights = draw(kit, recipe.mixtures, _DRAWS, rng)
    silent = replace(recipe.nuisances, noise=(0.0, 0.0), foil_noise=(0.0, 0.0))
    pairs = measured(on, weights, silent, rng)
    clean = subtracted(on, pairs).values.double()
    typical = float(_rms(clean).median())
    misfit = misfit_covariance(on.grid.double(), share * typical, settings.length_ev)
    shapes = torch.stack(_shapes(on, pairs, clean, settings.white_line))
    space = fit_novelty(clean, misfit, shapes)

    particles = torch.cat(
        [draws_of(library, recipe, name, rng) for name in parts.training]
    )
    drawn = differences(on, particles, recipe.nuisances, rng)
    values, level = drawn.values.double(), drawn.noise[:, 0].double()
    missed = torch.randn(values.shape, generator=rng).double() @ curves_of(misfit)
    measured_too = values + missed * (_rms(values) / typical).unsqueeze(-1)
    with_misfit = novelty_tests(space, measured_too, level)
    tests = novelty_tests(space, values, level)
    tests[:, :_UNSHAPED] = with_misfit[:, :_UNSHAPED]
    space = replace(space, edge_shift=drawn.edge_shift.double().mean())
    # Half of the false alarms are left to the edge's shift.
    return _limited(space, tests, (1 + settings.level) / 2)


def _shapes(on: Stage, pairs: Measured, clean: Tensor, line: WhiteLine) -> list[Tensor]:
    """Return what each flaw adds to a difference on average, `bins`, as `FILTERS`."""
    one = torch.ones(len(pairs.sample))
    compound = chloride(on, _CHLORIDE)
    mu = pairs.sample
    flaws: Mapping[str, tuple[Tensor, float]] = {
        "white_line": (mu + white_line(on.x, line), 1.0),
        "chloride": (mu + _SHARE * (compound - mu), _SHARE),
        "damped": (absorb_again(mu, _DAMPING * one), _DAMPING),
        "edge_step": (mu * (1 + _STEP), _STEP),
        "slope": (mu + _SLOPE * on.x.clamp(min=0) / 100, _SLOPE),
    }
    return [
        (subtracted(on, replace(pairs, sample=sample)).values.double() - clean).mean(0)
        / size
        for sample, size in (flaws[name] for name in FILTERS)
    ]


def _limited(space: NoveltySpace, tests: Tensor, level: float) -> NoveltySpace:
    """Set the limits: the rarest quantile of each test by which `level` is not doubted."""
    typical = tests.median(0).values
    low, high = level, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        within = (tests <= tests.quantile(middle, dim=0)).all(-1).double().mean()
        low, high = (middle, high) if within < level else (low, middle)
    doubted = tests.quantile(high, dim=0)
    damped = TESTS.index("damped")
    doubted[damped] = doubted[damped].clamp(min=_LEAST_DAMPED)
    return replace(
        space, typical=typical, limits=typical + (doubted - typical) / DOUBTED_FROM
    )


def _rms(values: Tensor) -> Tensor:
    return values.square().mean(-1).sqrt()
