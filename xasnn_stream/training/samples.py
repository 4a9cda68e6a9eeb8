"""What a model is evaluated on: structures as weights over library rows, by particle."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import BULK, Library
from xasnn_stream.training.mixtures import draw, mix_sites, particle_weights
from xasnn_stream.training.pool import split, training_structures
from xasnn_stream.training.recipe import Recipe

DRAWS = 64
"""Spectra per particle and lattice scale."""

MIXTURES = 1000
"""Random mixtures of sites per lattice scale."""

IN_POOL = 4000
"""Fresh draws from the training distribution."""

BULK_SHARES = (0.3, 0.9)
"""Share of bulk in particles that are as well coordinated as real catalysts, cn1 9–11."""

MIXTURE = "mixture"
"""The owner of draws that are of no particle."""

_SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Structures of one split.

    `weights` (`draws x rows`) over the rows of a library, `owners` the particle each
    draw is of. `n_particles` independent particles are behind them.
    """

    split: str
    weights: Tensor
    owners: tuple[str, ...]
    n_particles: int


def whole_particles(library: Library, names: Iterable[str], of_split: str) -> Samples:
    """Return particles at every lattice scale where they are complete.

    Raises
    ------
    LibraryError
        If none is complete at any scale.
    """
    return _of_particles(library, names, of_split, (0.0, 0.0))


def particles_with_bulk(
    library: Library, names: Iterable[str], of_split: str
) -> Samples:
    """Return the same particles, each mixed with 30 to 90 % of bulk."""
    return _of_particles(library, names, f"{of_split}, with bulk", BULK_SHARES)


def in_pool(library: Library, recipe: Recipe) -> Samples:
    """Return fresh draws from the distribution the model was trained on."""
    parts = split(library, recipe)
    rng = torch.Generator().manual_seed(_SEED)
    kit = training_structures(library, recipe, parts)
    weights = draw(kit, recipe.mixtures, IN_POOL, rng)
    return Samples("in-pool", weights, (MIXTURE,) * IN_POOL, len(parts.training))


def site_mixtures(library: Library, recipe: Recipe) -> Samples:
    """Return random mixtures of the library's sites at each lattice scale."""
    rng = torch.Generator().manual_seed(_SEED)
    blocks: list[Tensor] = []
    for scale in library.scales:
        sites = torch.tensor([[row] for row in library.rows(scale).values()])
        rows = len(library.site)
        one = torch.ones(MIXTURES, 1)
        blocks.append(mix_sites(sites, one, rows, recipe.mixtures, rng))
    weights = torch.cat(blocks)
    return Samples("mixtures", weights, (MIXTURE,) * len(weights), 0)


def splits(manifest: Mapping[str, Any], library: Library) -> dict[str, list[str]]:
    """Sort a library's particles into those a model held out, was trained on, never met.

    A particle that the library has under two names is where its first name is.
    """
    twins: Mapping[str, str] = manifest["duplicates"]
    trained, held_out = (
        set(manifest[key]) for key in ("training_particles", "held_out")
    )
    first = {name: twins.get(name, name) for name in library.particles if name != BULK}
    return {
        "held-out": [name for name, of in first.items() if of in held_out],
        "training": [name for name, of in first.items() if of in trained],
        "new": [name for name, of in first.items() if of not in held_out | trained],
    }


def complete_somewhere(library: Library, names: Iterable[str]) -> list[str]:
    """Return the particles that can be formed at one lattice scale at least."""
    complete = {name for scale in library.scales for name in library.complete(scale)}
    return [name for name in names if name in complete]


def _of_particles(
    library: Library, names: Iterable[str], of_split: str, bulk: tuple[float, float]
) -> Samples:
    rng = torch.Generator().manual_seed(_SEED)
    low, high = bulk
    blocks: list[Tensor] = []
    owners: list[str] = []
    found: Sequence[str] = complete_somewhere(library, names)
    if not found:
        raise LibraryError(f"no {of_split} particle is complete in this library")
    for name in found:
        for scale in library.scales:
            if name not in library.complete(scale):
                continue
            share = low + (high - low) * torch.rand(DRAWS, 1, generator=rng)
            alone = particle_weights(library, name, scale)
            metal = particle_weights(library, BULK, scale) if high else 0.0
            blocks.append((1 - share) * alone + share * metal)
            owners += [name] * DRAWS
    return Samples(of_split, torch.cat(blocks), tuple(owners), len(found))
