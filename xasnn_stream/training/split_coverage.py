"""What recalibration achieves: on some particles, measured on the others."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.library import BULK, Library
from xasnn_stream.training.recalibrate import (
    CONDITION,
    MIN_SAMPLES,
    Known,
    recalibrate,
    scaled_quantiles,
)
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.training.samples import whole_particles
from xasnn_stream.training.scored import drawn_under, estimate, particle_weight
from xasnn_stream.training.scores import named
from xasnn_stream.uncertainty.metrics import coverage, mean, quantile, winkler

SPLIT = "recalibrated"
SPECTRA = 100
"""Known spectra a recalibration is given, at most."""
KNOWN_SHARE = 0.75
"""Of the particles; the others are the test."""
REPEATS = 100
"""Random choices of the known particles."""
_SEED = 29
_KINDS = ("coverage", "width90", "winkler90")


def coverage_after_recalibration(
    model: Model, recipe: Recipe, library: Library
) -> Iterator[dict[str, Any]]:
    """Yield a row of coverage on particles other than those recalibrated with.

    Three of four complete particles of a library, chosen at random, give at most 100
    spectra at N1; all spectra of the others are the test. Figures are means over 100
    choices, `coverage_spread` is the standard deviation of coverage between them, of
    the published level, `before` the means without recalibration. No row where three of
    four particles are too few.
    """
    known = _all_known(model, recipe, library)
    particles = tuple(dict.fromkeys(known.owners))
    count = int(KNOWN_SHARE * len(particles))
    if count < MIN_SAMPLES:
        return
    rng = torch.Generator().manual_seed(_SEED)
    after: list[dict[str, Any]] = []
    before: list[dict[str, Any]] = []
    for _ in range(REPEATS):
        order = torch.randperm(len(particles), generator=rng).tolist()
        chosen = {particles[i] for i in order[:count]}
        given = known.only(_some_rows(known, chosen, rng))
        rest = [i for i, owner in enumerate(known.owners) if owner not in chosen]
        scaled = scaled_quantiles(
            model.quantiles, model.descriptors, recalibrate(model, given)
        )
        test = known.only(rest)
        after.append(_scores(replace(model, quantiles=scaled), test))
        before.append(_scores(model, test))
    weight = particle_weight(known.owners, model.device)
    error = (known.parts.value - known.truth).abs()
    yield {
        "model": model.name,
        "split": SPLIT,
        "condition": f"{CONDITION} recalibrated",
        "shapes": "all",
        "n": len(known.owners),
        "n_particles": len(particles),
        "mae": named(model.descriptors, mean(error, weight)),
        **_averaged(after, model.descriptors),
        "coverage_spread": _spread(after, model.descriptors),
        "before": _averaged(before, model.descriptors),
        "repeats": REPEATS,
        "known_spectra": max(1, SPECTRA // count) * count,
        "known_particles": count,
    }


def _all_known(model: Model, recipe: Recipe, library: Library) -> Known:
    twins = model.manifest["duplicates"]
    names = [name for name in library.particles if name != BULK and name not in twins]
    samples = whole_particles(library, names, SPLIT)
    rng = torch.Generator().manual_seed(_SEED)
    weights = samples.weights
    drawn, truth = drawn_under(model, recipe, library, weights, CONDITION, rng)
    return Known(estimate(model, drawn), truth, samples.owners)


def _some_rows(known: Known, chosen: set[str], rng: torch.Generator) -> list[int]:
    """Return at most `SPECTRA` draws, as many of every chosen particle."""
    each = max(1, SPECTRA // len(chosen))
    rows: list[int] = []
    for name in sorted(chosen)[:SPECTRA]:
        of = [i for i, owner in enumerate(known.owners) if owner == name]
        picked = torch.randperm(len(of), generator=rng)[:each].tolist()
        rows += [of[i] for i in picked]
    return rows


def _scores(model: Model, test: Known) -> dict[str, Any]:
    """Return coverage by level, median width and interval score, a tensor each."""
    weight = particle_weight(test.owners, model.device)
    ends = {level: model.interval(test.parts, level) for level in model.quantiles}
    low, high = ends[LEVEL]
    covered = [coverage(test.truth, *ends[at], weight) for at in sorted(ends)]
    return {
        "coverage": torch.stack(covered),
        "width90": quantile(high - low, 0.5, weight),
        "winkler90": winkler(test.truth, low, high, LEVEL, weight),
        "levels": sorted(ends),
    }


def _averaged(scores: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    means = {key: torch.stack([s[key] for s in scores]).mean(0) for key in _KINDS}
    return {
        "coverage": {
            f"{level:g}": named(names, covered)
            for level, covered in zip(
                scores[0]["levels"], means["coverage"], strict=True
            )
        },
        "width90": named(names, means["width90"]),
        "winkler90": named(names, means["winkler90"]),
    }


def _spread(scores: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    at = scores[0]["levels"].index(LEVEL)
    return named(names, torch.stack([s["coverage"][at] for s in scores]).std(0))
