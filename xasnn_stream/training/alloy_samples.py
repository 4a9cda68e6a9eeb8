"""What a model of an alloy's edge is evaluated on: alloys, the pure metal, its foil."""

from collections.abc import Iterator
from pathlib import Path

from xasnn_stream.engine.model import Model
from xasnn_stream.library import BULK, Library, read_library
from xasnn_stream.library.alloys import is_sampled
from xasnn_stream.training.baselines import fit_baselines
from xasnn_stream.training.build import RECIPE
from xasnn_stream.training.conditions import OWN
from xasnn_stream.training.evaluation import Row, evaluate
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
