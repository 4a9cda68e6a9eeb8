"""How much of each flaw novelty notices: the figures of docs/how-an-estimate-is-made.md.

    python -m tests.bench.novelty pt-l3-xanes

AUROC on the model's held-out particles under set N1, every flaw at its amplitude of
models/novelty-families.yaml and at shares of it.
"""

import sys

import torch

from xasnn_stream.engine.model import load_model
from xasnn_stream.library import read_library
from xasnn_stream.shipped import model_folder
from xasnn_stream.training.conditions import conditions
from xasnn_stream.training.novelty_families import read_amplitudes, scores, spoiled
from xasnn_stream.training.nuisances import measured, stage, subtracted
from xasnn_stream.training.recipe import read_recipe
from xasnn_stream.training.samples import whole_particles
from xasnn_stream.training.scored import as_double
from xasnn_stream.uncertainty.metrics import auroc

CONDITION = "N1"
SHARES = (0.25, 0.5, 1.0)
SEED = 11


def main(name: str) -> None:
    """Print a line per family."""
    folder = model_folder(name)
    model, recipe = load_model(folder), read_recipe(folder / "recipe.yaml")
    library = read_library(recipe.library)
    weights = whole_particles(library, recipe.held_out, "held-out").weights[::4]
    on = stage(library, recipe.input)
    rng = torch.Generator().manual_seed(SEED)
    pair = measured(on, weights, conditions(recipe.nuisances)[CONDITION], rng)
    clean = scores(model, as_double(subtracted(on, pair), "cpu"))
    for family, amplitude in read_amplitudes().items():
        found = [
            scores(
                model, as_double(spoiled(on, pair, family, share * amplitude), "cpu")
            )
            for share in SHARES
        ]
        shown = ", ".join(
            f"{share * amplitude:g}: {auroc(clean, some):.2f}"
            for share, some in zip(SHARES, found, strict=True)
        )
        print(f"{family:16} {shown}")


if __name__ == "__main__":
    main(*sys.argv[1:])
