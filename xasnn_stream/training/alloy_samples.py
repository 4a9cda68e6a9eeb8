"""What a model of an alloy's edge is evaluated on: alloys, the pure metal, its foil."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from xasnn_stream.engine.model import Model
from xasnn_stream.library import BULK, REFERENCE_SCALE, Library, read_library
from xasnn_stream.library.alloys import is_sampled
from xasnn_stream.manifest import RECIPE
from xasnn_stream.training.baselines import fit_baselines
from xasnn_stream.training.conditions import OWN
from xasnn_stream.training.evaluation import Row, evaluate
from xasnn_stream.training.mixtures import labels, particle_weights
from xasnn_stream.training.recipe import Recipe, read_recipe
from xasnn_stream.training.samples import in_pool, whole_particles

ALLOYS, PURE, FOIL = "held-out", "held-out, pure metal", "foil"


def evaluate_alloy_folder(
    model: Model, folder: Path, part: str, library_path: Path | None
) -> Iterator[Row]:
    """Evaluate one part of a model folder on its own library of alloys, or on another.

    Raises
    ------
    LibraryError
        If a library cannot be read or lacks what is held out.
    """
    recipe = read_recipe(folder / RECIPE, part)
    path = library_path or recipe.library
    library = read_library(path, model.element, model.edge)
    yield from evaluate_alloy(model, recipe, library)


def evaluate_alloy(model: Model, recipe: Recipe, library: Library) -> Iterator[Row]:
    """Evaluate on held-out alloys and pure particles, the foil, and fresh draws.

    What was sampled of an alloyed particle counts once, as a particle does. Unlike
    neighbours of the pure metal and its foil are none.
    """
    fitted = fit_baselines(model, recipe, library)
    there = [name for name in recipe.held_out if name in library.particles]
    alloys = [name for name in there if is_sampled(name)]
    pure = [name for name in there if not is_sampled(name)]
    for names, split, under in (
        (alloys, ALLOYS, ("clean", "N1", "noise", "N1+noise")),
        (pure, PURE, ("N1", "N1+noise")),
        ([BULK], FOIL, ("N1", "N1+noise")),
    ):
        samples = whole_particles(library, names, split)
        yield from evaluate(model, recipe, library, samples, fitted, under)
    fresh = in_pool(library, recipe)
    yield from evaluate(model, recipe, library, fresh, fitted, ("N1", OWN))


def errors_from_lattice(recipe: Recipe, library: Library) -> dict[str, float]:
    """Return MAE on held-out alloys of what is known without reading a spectrum.

    That is a plane in the lattice, r1, the *true* number of all first neighbours and
    their product, through the other alloys: the lattice follows the composition, so it
    tells much of who the neighbours are. A spectrum must tell more.
    """
    alloys = [name for name in library.complete(REFERENCE_SCALE) if is_sampled(name)]
    held_out = [name for name in alloys if name in recipe.held_out]
    others = [name for name in alloys if name not in recipe.held_out]
    design, truth = _known(library, recipe.descriptors, others)
    plane = torch.linalg.lstsq(design, truth).solution
    design, truth = _known(library, recipe.descriptors, held_out)
    error = (design @ plane - truth).abs().mean(0)
    rounded = (round(value, 5) for value in error.tolist())
    return dict(zip(recipe.descriptors, rounded, strict=True))


def _known(
    library: Library, descriptors: Sequence[str], names: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Return what the lattice and the number of neighbours are of, and the truth."""
    weights = torch.stack(
        [particle_weights(library, name, REFERENCE_SCALE) for name in names]
    )
    total, r1 = labels(library, weights, ("cn1", "r1")).double().unbind(-1)
    design = torch.stack((torch.ones_like(r1), r1, total, r1 * total), -1)
    return design, labels(library, weights, descriptors).double()
