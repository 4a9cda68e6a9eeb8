"""Metrics of a model on particles it never saw, beside baselines on the same spectra."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.errors import LibraryError
from xasnn_stream.library import Library, read_library, shape_class
from xasnn_stream.manifest import RECIPE
from xasnn_stream.training.baselines import Baselines, estimates, fit_baselines
from xasnn_stream.training.conditions import CONDITIONS, OWN, conditions
from xasnn_stream.training.mixtures import labels
from xasnn_stream.training.novelty_families import notice
from xasnn_stream.training.nuisances import measured, stage, subtracted
from xasnn_stream.training.recipe import Recipe, read_recipe
from xasnn_stream.training.samples import (
    MIXTURE,
    Samples,
    complete_somewhere,
    in_pool,
    particles_with_bulk,
    site_mixtures,
    splits,
    whole_particles,
)
from xasnn_stream.training.scored import (
    Scored,
    as_double,
    member_errors,
    only,
    score,
)
from xasnn_stream.training.scores import (
    all_scores,
    coverage_by,
    errors,
    named,
    resolved,
)
from xasnn_stream.training.split_coverage import coverage_after_recalibration
from xasnn_stream.training.test_sets import across_test_sets
from xasnn_stream.uncertainty.metrics import winkler

SHAPES = ("fcc", "icosahedral", "hcp", "all")

_SEED = 7

Row = dict[str, Any]
"""One condition and shape class of one split; its form is in the contracts."""


def evaluate(
    model: Model,
    recipe: Recipe,
    library: Library,
    samples: Samples,
    fitted: Baselines | None,
    under: Iterable[str] = CONDITIONS,
) -> Iterator[Row]:
    """Yield one row per condition and shape class.

    Parameters
    ----------
    samples
        Structures over the rows of `library`.
    fitted
        The baselines; None if the training library is not at hand, then those that need
        it are left out.
    under
        Names of conditions.

    Raises
    ------
    LibraryError
        If the library is of another edge.
    """
    if (library.element, library.edge) != (model.element, model.edge):
        raise LibraryError(
            f"the library is of {library.element} {library.edge}, the model reads "
            f"{model.element} {model.edge}"
        )
    on = stage(library, recipe.input)
    truth = labels(library, samples.weights, model.descriptors)
    truth = truth.double().to(model.device)
    every = conditions(recipe.nuisances)
    for condition in under:
        rng = torch.Generator().manual_seed(_SEED)
        pair = measured(on, samples.weights, every[condition], rng)
        drawn = as_double(subtracted(on, pair), model.device)
        noticed = notice(model, on, pair)
        scored = score(model, drawn, truth, samples.owners)
        simpler = estimates(model, fitted, drawn, truth)
        for shape in SHAPES:
            rows = [i for i, name in enumerate(samples.owners) if _is_of(name, shape)]
            if not rows:
                continue
            part, spectra = scored.only(rows), only(drawn, rows)
            members, spread = member_errors(model, spectra, part.truth, part.weight)
            yield {
                "model": model.name,
                "split": samples.split,
                "condition": condition,
                "shapes": shape,
                "n": len(rows),
                "n_particles": len(set(part.owners) - {MIXTURE}) or samples.n_particles,
                **_scores(model, part, {k: v[rows] for k, v in simpler.items()}),
                "member_mae": {
                    "mean": named(part.names, members),
                    "std": named(part.names, spread),
                },
                **noticed.only(rows).summary(),
            }


def evaluate_own(model: Model, recipe: Recipe, library: Library) -> Iterator[Row]:
    """Evaluate on the library the model was trained on.

    Held-out particles, the same with bulk, then fresh draws from the training
    distribution.
    """
    fitted = fit_baselines(model, recipe, library)
    held_out = recipe.held_out
    alone = whole_particles(library, held_out, "held-out")
    yield from evaluate(model, recipe, library, alone, fitted)
    bulky = particles_with_bulk(library, held_out, "held-out")
    yield from evaluate(model, recipe, library, bulky, fitted, ("N1", "N1+noise"))
    pool = in_pool(library, recipe)
    yield from evaluate(model, recipe, library, pool, fitted, ("N1", OWN))


def evaluate_library(
    model: Model, recipe: Recipe, library: Library, fitted: Baselines | None
) -> Iterator[Row]:
    """Evaluate on all of a library.

    Of its complete particles those the model held out are the split `held-out`, those it
    was trained on `training`, others `new`; then `mixtures` of the sites, and what a
    recalibration on 100 spectra achieves.
    """
    for split, names in splits(model.manifest, library).items():
        if complete_somewhere(library, names):
            samples = whole_particles(library, names, split)
            yield from evaluate(model, recipe, library, samples, fitted)
    mixtures = site_mixtures(library, recipe)
    yield from evaluate(model, recipe, library, mixtures, fitted)
    yield from coverage_after_recalibration(model, recipe, library)


def evaluate_folder(
    model: Model, folder: Path, library_path: Path | None
) -> Iterator[Row]:
    """Evaluate a model folder on its own library, or on another one.

    The last rows compare independent test sets; see `test_sets`. `library_path` may be a
    file or a folder of libraries; its rows say which, for names of splits repeat.
    Baselines that need the training library are left out where only another library is
    at hand.

    Raises
    ------
    LibraryError
        If a library cannot be read or is of another edge.
    """
    recipe = read_recipe(folder / RECIPE)
    if library_path is None:
        library = read_library(recipe.library)
        yield from _with_table(evaluate_own(model, recipe, library), ())
        return
    library = read_library(library_path, model.element, model.edge)
    fitted = _fitted_if_possible(model, recipe)
    rows = evaluate_library(model, recipe, library, fitted)
    published = model.manifest.get("metrics", ())
    of_edge = f"{model.element}_{model.edge}"
    name = of_edge if library_path.is_dir() else library_path.stem
    yield from _with_table((row | {"library": name} for row in rows), published)


def _with_table(rows: Iterable[Row], published: Iterable[Row]) -> Iterator[Row]:
    seen = list(published)
    for row in rows:
        seen.append(row)
        yield row
    yield from across_test_sets(seen)


def _fitted_if_possible(model: Model, recipe: Recipe) -> Baselines | None:
    if not recipe.library.exists():
        return None
    return fit_baselines(model, recipe, read_library(recipe.library))


def _is_of(name: str, shape: str) -> bool:
    return shape == "all" or (name != MIXTURE and shape_class(name) == shape)


def _scores(
    model: Model, scored: Scored, simpler: Mapping[str, Tensor]
) -> dict[str, Any]:
    names, truth, weight = scored.names, scored.truth, scored.weight
    scores = all_scores(scored)
    scores["baseline"] = {
        name: errors(names, truth, value, weight) for name, value in simpler.items()
    }
    # Conformal residuals of the ridge are stored with the model.
    margin = model.tensors["ridge_margin"]
    low, high = simpler["ridge"] - margin, simpler["ridge"] + margin
    scores["baseline"]["ridge"] |= {
        "width90": named(names, 2 * margin),
        "winkler90": named(names, winkler(truth, low, high, LEVEL, weight)),
    }
    if len(set(scored.owners)) == 1 and MIXTURE not in scored.owners:
        return scores  # one particle says nothing about others
    scores["coverage_by"] = coverage_by(scored)
    if "from_cn1" in simpler or "cn1" not in names:
        scores["resolved"] = resolved(names, scores["mae"], scores["baseline"])
    return scores
