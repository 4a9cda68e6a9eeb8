"""From a recipe to a model folder that explains itself."""

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from xasnn_stream import __version__
from xasnn_stream.engine.model import LEVEL, WEIGHTS, load_model
from xasnn_stream.errors import LibraryError
from xasnn_stream.library import SHELL_BULK_CN, Library, read_library
from xasnn_stream.manifest import CARD, RECIPE, SCHEMA, write_manifest
from xasnn_stream.training.calibrate import Calibration, calibrate
from xasnn_stream.training.card import FIGURE, write_card
from xasnn_stream.training.evaluation import evaluate_own
from xasnn_stream.training.fit import fit_ensemble, fit_ridge, scaling_for
from xasnn_stream.training.novelty import calibrate_novelty
from xasnn_stream.training.nuisances import Stage, on_grid, stage
from xasnn_stream.training.pool import Split, draw_pool, split
from xasnn_stream.training.recipe import Recipe, copy_recipe, read_recipe
from xasnn_stream.uncertainty.novelty import TESTS, NoveltySpace

Progress = Callable[[str, float], None]
"""Called with a stage's name and the share of it that is done."""

_MIN_SCALES_FOR_R1 = 3
_DOMAIN_MARGIN_CN = 1.0
_DOMAIN_MARGIN_R1 = 0.05
_UNITS = {"r1": "angstrom"}


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The tensors of a model of one edge, how it was calibrated, and the split."""

    tensors: dict[str, Tensor]
    calibration: Calibration
    space: NoveltySpace
    parts: Split


def train(recipe_path: Path, output: Path, progress: Progress) -> Path:
    """Train the model of a recipe and write its folder; return the folder.

    Raises
    ------
    UsageError, LibraryError
        If the recipe or its library cannot be used.
    """
    recipe = read_recipe(recipe_path)
    library = read_library(recipe.library)
    recipe = with_possible_descriptors(recipe, library)
    trained = fit_model(recipe, library, progress)
    output.mkdir(parents=True, exist_ok=True)
    copy_recipe(recipe_path, output / RECIPE)
    (output / WEIGHTS).write_bytes(
        save({name: tensor.contiguous() for name, tensor in trained.tensors.items()})
    )
    manifest = manifest_of(recipe, library, trained)
    write_manifest(output, manifest, (WEIGHTS, RECIPE))
    # The model is evaluated as loaded from disk: the card describes what is shipped.
    model = load_model(output)
    manifest["metrics"] = list(evaluate_own(model, recipe, library))
    write_card(output, manifest, model, library, recipe)
    write_manifest(output, manifest, (WEIGHTS, RECIPE, CARD, FIGURE))
    return output


def with_possible_descriptors(recipe: Recipe, library: Library) -> Recipe:
    """Drop r1 where too few lattice scales make it a guess.

    LibraryError if a held-out particle is not in the library.
    """
    kept = tuple(
        name
        for name in recipe.descriptors
        if name != "r1" or len(library.scales) >= _MIN_SCALES_FOR_R1
    )
    missing = [name for name in recipe.held_out if name not in library.particles]
    if missing:
        raise LibraryError(f"held-out particles not in the library: {missing}")
    return replace(recipe, descriptors=kept)


def fit_model(recipe: Recipe, library: Library, progress: Progress) -> Trained:
    """Train and calibrate the model of one edge."""
    rng = torch.Generator().manual_seed(recipe.seed)
    on = stage(library, recipe.input)
    parts = split(library, recipe)
    pool = draw_pool(library, recipe, parts, on, rng, lambda f: progress("spectra", f))
    scaling = scaling_for(pool)
    ensemble = fit_ensemble(
        pool,
        scaling,
        recipe.fit,
        rng,
        lambda f: progress("ensemble", f),
        recipe.fit.architecture,
    )
    progress("calibration", 0.0)
    ridge = fit_ridge(pool, scaling, recipe.fit.ridge, torch.arange(len(pool.noise)))
    calibration = calibrate(library, recipe, parts, on, pool, scaling, ensemble, rng)
    space = calibrate_novelty(library, recipe, parts, on)
    progress("calibration", 1.0)
    tensors = {f"ensemble.{name}": tensor for name, tensor in ensemble.items()}
    tensors |= {
        f"scaling.{name}": getattr(scaling, name) for name in type(scaling).__slots__
    }
    tensors |= {
        f"novelty.{name}": getattr(space, name) for name in type(space).__slots__
    }
    tensors |= {
        "grid": on.grid.double(),
        "edge_at": torch.tensor(on.edge_at, dtype=torch.float64),
        "computed_foil": _foil_on_grid(on),
        "ridge": ridge,
        "ridge_margin": calibration.ridge_quantiles[LEVEL],
    }
    return Trained(tensors, calibration, space, parts)


def _foil_on_grid(on: Stage) -> Tensor:
    position = torch.tensor([on.edge_at])
    return on_grid(on, on.foil.unsqueeze(0), position)[0]


def manifest_of(recipe: Recipe, library: Library, trained: Trained) -> dict[str, Any]:
    """Return what a stranger must know of a model, its metrics and hashes apart."""
    names = recipe.descriptors
    r1 = library.r1[library.r1 > 0]
    domain = {
        f"cn{i + 1}": [0.0, n + _DOMAIN_MARGIN_CN] for i, n in enumerate(SHELL_BULK_CN)
    }
    for name in library.columns:
        domain[name] = domain["cn1"]
    domain["r1"] = [
        round(float(r1.min()) - _DOMAIN_MARGIN_R1, 3),
        round(float(r1.max()) + _DOMAIN_MARGIN_R1, 3),
    ]
    parts, found = trained.parts, trained.calibration
    return {
        "schema": SCHEMA,
        "name": recipe.name,
        "element": library.element,
        "edge": library.edge,
        "input": {
            "kind": "normalized mu minus foil",
            "grid_ev": [recipe.input.start, recipe.input.stop, recipe.input.step],
            "aligned_on": "mean energy of the levels 0.25 to 0.75 of the edge step",
        },
        "descriptors": list(names),
        "units": {name: _UNITS.get(name, "") for name in names},
        "domain": {name: domain[name] for name in names},
        "held_out": list(parts.held_out),
        "duplicates": recipe.duplicates,
        "training_particles": list(parts.training),
        "calibration": {
            "method": "conformal: left-out particles, one weight each, bounded by "
            "mixtures of known sites",
            "particles": found.particles,
            "quantiles": _by_level(names, found.quantiles),
            "left_out": _by_level(names, found.left_out),
            "mixtures": _by_level(names, found.mixtures),
            "correlation": [
                [round(value, 4) for value in row] for row in found.correlation.tolist()
            ],
        },
        "novelty": {
            "limits": dict(zip(TESTS, trained.space.limits.tolist(), strict=True))
        },
        "library": {
            "file": recipe.library.name,
            "sha256": library.sha256,
            "scales": list(library.scales),
        },
        "architecture": recipe.fit.architecture,
        "seed": recipe.seed,
        "versions": {
            "xasnn-stream": __version__,
            "torch": torch.__version__.split("+")[0],
            "python": platform.python_version(),
        },
        "files": {},
    }


def _by_level(
    names: tuple[str, ...], quantiles: dict[float, Tensor]
) -> dict[str, dict[str, float]]:
    return {
        f"{level:g}": dict(zip(names, quantile.tolist(), strict=True))
        for level, quantile in quantiles.items()
    }
