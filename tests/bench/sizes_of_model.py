"""Sizes that a model reads of particles it never saw: figures of docs/size-and-shape.md.

    python -m tests.bench.sizes_of_model pt-l3-xanes

Its held-out particles at every lattice scale, seen through the nuisances of set N1.
"""

import json
import sys
from collections import Counter

import numpy as np
import torch

from xasnn_stream.engine.model import LEVEL, Model, load_model
from xasnn_stream.estimate import Descriptor, Size
from xasnn_stream.library import read_library
from xasnn_stream.shipped import model_folder
from xasnn_stream.size.particle import SHELLS, size_of
from xasnn_stream.training.conditions import conditions
from xasnn_stream.training.nuisances import differences, stage
from xasnn_stream.training.recipe import read_recipe
from xasnn_stream.training.samples import whole_particles
from xasnn_stream.training.scored import estimate
from xasnn_stream.uncertainty.decomposition import Parts

CONDITION = "N1"
SEED = 11


def sizes(model: Model, parts: Parts) -> list[Size | None]:
    """Return a size per row of what a model said."""
    low, high = (end.tolist() for end in model.interval(parts, LEVEL))
    value, std = parts.value.tolist(), parts.std.tolist()
    shells = [model.descriptors.index(name) for name in SHELLS]
    correlation = model.correlation
    if correlation is not None:
        correlation = correlation[np.ix_(shells, shells)]
    found: list[Size | None] = []
    for row in range(len(value)):
        descriptors = {
            name: Descriptor(
                value=value[row][k],
                std=std[row][k],
                std_model=0.0,
                std_noise=0.0,
                std_ambiguity=std[row][k],
                interval=(low[row][k], high[row][k]),
                level=LEVEL,
            )
            for k, name in enumerate(model.descriptors)
        }
        found.append(size_of(descriptors, correlation, model.element))
    return found


def main(name: str) -> None:
    """Print a line per particle and one of them all."""
    folder = model_folder(name)
    model, recipe = load_model(folder), read_recipe(folder / "recipe.yaml")
    library = read_library(recipe.library)
    index = json.loads((recipe.library.parent / "particles.json").read_text())
    samples = whole_particles(library, recipe.held_out, "held-out")
    on = stage(library, recipe.input)
    rng = torch.Generator().manual_seed(SEED)
    nuisances = conditions(recipe.nuisances)[CONDITION]
    drawn = differences(on, samples.weights, nuisances, rng)
    read = sizes(model, estimate(model, drawn))
    known = "known" if model.correlation is not None else "unknown"
    print(f"{model.name}, {CONDITION}, correlation of errors {known}")
    print("particle        atoms   median interval  covered   a mixture  told as")
    shares: list[float] = []
    for particle in dict.fromkeys(samples.owners):
        atoms = index["particles"][particle]["natoms"]
        mine = [
            size
            for size, owner in zip(read, samples.owners, strict=True)
            if owner == particle and size is not None
        ]
        ends = np.array([size.atoms.interval for size in mine], float)
        ends[np.isnan(ends)] = np.inf
        covered = float(np.mean((ends[:, 0] <= atoms) & (atoms <= ends[:, 1])))
        mixture = np.mean([not size.consistent for size in mine])
        told = Counter(s.shapes[0].name for s in mine if s.distinguishable)
        names = ", ".join(f"{n} {k / len(mine):.0%}" for n, k in told.most_common(3))
        low, high = np.median(ends, axis=0)
        print(
            f"{particle:14} {atoms:6d}   {low:6.0f}–{high:<8.0f}  {covered:6.0%}"
            f"   {mixture:9.0%}  {names or '-'}"
        )
        shares.append(covered)
    print(f"all of {len(shares)} particles: {np.mean(shares):.0%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
