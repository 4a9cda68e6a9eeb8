"""Metrics of a model on particles it never saw, beside baselines on the same spectra."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xasnn_stream.engine.inference import (
    Differences,
    Scaling,
    decompose,
    noise_level,
    scaling_of,
)
from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.errors import LibraryError
from xasnn_stream.library import (
    BULK,
    SHELL_BULK_CN,
    Library,
    read_library,
    shape_class,
)
from xasnn_stream.physics.white_line import OXIDE, white_line
from xasnn_stream.training.fit import ridge_features
from xasnn_stream.training.mixtures import labels, mix_sites, particle_weights
from xasnn_stream.training.nuisances import differences, quiet, stage, with_noise
from xasnn_stream.training.recipe import Nuisances, Recipe, read_recipe
from xasnn_stream.uncertainty.metrics import auroc, coverage, r2, winkler
from xasnn_stream.uncertainty.novelty import doubted, novelty_tests

DRAWS = 100
"""Spectra per particle and lattice scale."""

MIXTURES = 1000
"""Random mixtures of sites per lattice scale."""

MIXTURE = "mixture"

_NOISE_N1, _NOISE_BARE, _FOIL_NOISE = 0.002, 0.005, 0.001
"""Noise per 1 eV, in units of the edge step: with the nuisances, alone, of the foil."""
_SEED = 7

_OXIDE_SHARES = (0.0, 0.1, 0.3, 1.0)
"""Of the white line of a full oxide, put on spectra to see which shares are noticed."""

SHAPES = ("fcc", "icosahedral", "hcp", "all")

Subject = tuple[str, Tensor]
"""A name, and draws of it as weights over library rows, `draws x rows`."""


def conditions(nuisances: Nuisances) -> dict[str, Nuisances]:
    """Return the nuisances of every condition.

    `clean` has none, `N1` the recipe's set at noise 0.2 % per 1 eV, `noise` 0.5 % noise
    and nothing else.
    """
    off = quiet(nuisances)
    return {
        "clean": off,
        "N1": with_noise(nuisances, _NOISE_N1, _FOIL_NOISE),
        "noise": with_noise(off, _NOISE_BARE, _FOIL_NOISE),
    }


def whole_particles(library: Library, names: Sequence[str]) -> list[Subject]:
    """Return particles at every lattice scale where they are complete."""
    return [
        (name, particle_weights(library, name, scale).expand(DRAWS, -1))
        for name in names
        for scale in library.scales
        if name in library.complete(scale)
    ]


def site_mixtures(library: Library, recipe: Recipe) -> list[Subject]:
    """Return random mixtures of the library's sites at each lattice scale."""
    rng = torch.Generator().manual_seed(_SEED)
    subjects: list[Subject] = []
    for scale in library.scales:
        sites = torch.tensor([[row] for row in library.rows(scale).values()])
        one = torch.ones(MIXTURES, 1)
        rows = len(library.site)
        subjects.append((MIXTURE, mix_sites(sites, one, rows, recipe.mixtures, rng)))
    return subjects


def evaluate(
    model: Model,
    recipe: Recipe,
    library: Library,
    subjects: Sequence[Subject],
    split: str,
) -> Iterator[dict[str, Any]]:
    """Yield one row per condition and shape class; see the contracts for its form.

    Raises
    ------
    LibraryError
        If the library is of another edge, or there is nothing to evaluate.
    """
    if (library.element, library.edge) != (model.element, model.edge):
        raise LibraryError(
            f"the library is of {library.element} {library.edge}, the model reads "
            f"{model.element} {model.edge}"
        )
    if not subjects:
        raise LibraryError(f"no {split} particle is complete in this library")
    on = stage(library, recipe.input)
    owners = [name for name, draws in subjects for _ in range(len(draws))]
    weights = torch.cat([draws for _, draws in subjects])
    truth = labels(library, weights, model.descriptors).double().to(model.device)
    for condition, nuisances in conditions(recipe.nuisances).items():
        rng = torch.Generator().manual_seed(_SEED)
        drawn = as_double(differences(on, weights, nuisances, rng), model.device)
        for shape in SHAPES:
            rows = [i for i, name in enumerate(owners) if _is_of(name, shape)]
            if not rows:
                continue
            here = Differences(
                drawn.values[rows], drawn.noise[rows], drawn.directions[rows]
            )
            yield {
                "model": model.name,
                "split": split,
                "condition": condition,
                "shapes": shape,
                "n": len(rows),
                "n_particles": len({owners[i] for i in rows} - {MIXTURE}),
                **_scores(model, here, truth[rows]),
            }


def _is_of(name: str, shape: str) -> bool:
    return shape == "all" or (name != MIXTURE and shape_class(name) == shape)


def evaluate_folder(
    model: Model, folder: Path, library_path: Path | None
) -> Iterator[dict[str, Any]]:
    """Evaluate a model folder on its held-out split, or on all of a library.

    Of a library every complete particle is formed: those the model was trained on are
    the split `training`, those it held out `held-out`, others `new`; then `mixtures` of
    the sites. `library_path` may be a file or a folder of libraries.
    """
    recipe = read_recipe(folder / "recipe.yaml")
    if library_path is None:
        library = read_library(recipe.library)
        subjects = whole_particles(library, recipe.held_out)
        yield from evaluate(model, recipe, library, subjects, "held-out")
        return
    if library_path.is_dir():
        library_path = library_path / f"{model.element}_{model.edge}.npz"
    library = read_library(library_path)
    for split, names in _splits(model, library).items():
        subjects = whole_particles(library, names)
        if subjects:
            yield from evaluate(model, recipe, library, subjects, split)
    mixtures = site_mixtures(library, recipe)
    yield from evaluate(model, recipe, library, mixtures, "mixtures")


def _splits(model: Model, library: Library) -> dict[str, list[str]]:
    trained, held_out = (
        set(model.manifest[key]) for key in ("training_particles", "held_out")
    )
    held_out |= {
        twin for twin, name in model.manifest["duplicates"].items() if name in held_out
    }
    names = [name for name in library.particles if name != BULK]
    return {
        "held-out": [name for name in names if name in held_out],
        "training": [name for name in names if name in trained],
        "new": [name for name in names if name not in held_out | trained],
    }


def _scores(model: Model, drawn: Differences, truth: Tensor) -> dict[str, Any]:
    names = model.descriptors
    scaling = scaling_of(model.tensors)
    parts = decompose(model.parameters, scaling, drawn)
    error = (parts.value - truth).abs()
    scores: dict[str, Any] = {
        "mae": _named(names, error.mean(0)),
        "rmse": _named(names, error.square().mean(0).sqrt()),
        "r2": _named(names, r2(truth, parts.value)),
        "mae_over_bulk": _over_bulk(names, error),
        "baseline": {"ridge": _ridge_scores(model, scaling, drawn, truth)},
        "coverage": {},
    }
    for level, quantile in model.quantiles.items():
        low = parts.value - quantile * parts.std
        high = parts.value + quantile * parts.std
        scores["coverage"][f"{level:g}"] = _named(names, coverage(truth, low, high))
        if level == LEVEL:
            scores["width90"] = _named(names, (high - low).median(0).values)
            scores["winkler90"] = _named(names, winkler(truth, low, high, level))
    return scores | _novelty(model, drawn)


def _ridge_scores(
    model: Model, scaling: Scaling, drawn: Differences, truth: Tensor
) -> dict[str, Any]:
    """Score the linear baseline, trained on the same draws, with conformal residuals."""
    names = model.descriptors
    value = ridge_features(scaling, drawn.values) @ model.tensors["ridge"]
    value = value * scaling.output_scale + scaling.output_mean
    margin = model.tensors["ridge_margin"]
    low, high = value - margin, value + margin
    error = (value - truth).abs()
    return {
        "mae": _named(names, error.mean(0)),
        "mae_over_bulk": _over_bulk(names, error),
        "width90": _named(names, 2 * margin),
        "winkler90": _named(names, winkler(truth, low, high, LEVEL)),
    }


def _novelty(model: Model, drawn: Differences) -> dict[str, dict[str, float]]:
    """Tell spectra from the same ones with shares of an oxide-like white line."""
    level = noise_level(drawn.noise)
    line = white_line(model.grid, OXIDE)
    tests = {
        f"oxide_{share:g}": novelty_tests(
            model.novelty, drawn.values + share * line, level
        ).cpu()
        for share in _OXIDE_SHARES
    }
    metal, *_ = (found.amax(-1) for found in tests.values())
    return {
        "novelty_auroc": {
            name: auroc(metal, found.amax(-1)) for name, found in tests.items()
        },
        "novelty_doubted": {
            name: float(doubted(found).double().mean()) for name, found in tests.items()
        },
    }


def _over_bulk(names: Sequence[str], error: Tensor) -> float:
    """Return MAE over the bulk coordination number, averaged over the shells."""
    shells = [i for i, name in enumerate(names) if name.startswith("cn")]
    bulk = torch.tensor(SHELL_BULK_CN[: len(shells)], dtype=error.dtype)
    return float((error[:, shells].mean(0).cpu() / bulk).mean())


def _named(names: Iterable[str], values: Tensor) -> dict[str, float | None]:
    return {
        name: None if value != value else round(value, 5)
        for name, value in zip(names, values.tolist(), strict=True)
    }


def as_double(drawn: Differences, device: str) -> Differences:
    """Return draws as the shipped model sees them: float64 on its device."""
    values, noise, directions = (
        tensor.to(device, torch.float64)
        for tensor in (drawn.values, drawn.noise, drawn.directions)
    )
    return Differences(values, noise, directions)
