"""The training pool: spectra drawn once, and which member may see which of them."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.library import BULK, REFERENCE_SCALE, Library
from xasnn_stream.training.mixtures import (
    Structures,
    draw,
    labels,
    particle_sites,
    particle_weights,
    structures,
    without,
)
from xasnn_stream.training.nuisances import Stage, differences
from xasnn_stream.training.recipe import Recipe

_CHUNK = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Draws and who may see them.

    `values` (`draws x bins`), `noise` (`draws`), `truth` (`draws x outputs`),
    `allowed` (`draws x members`).
    """

    values: Tensor
    noise: Tensor
    truth: Tensor
    allowed: Tensor


@dataclass(frozen=True, slots=True)
class Split:
    """Who is in training, who is held out, and whom each member never sees."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]


def split(library: Library, recipe: Recipe) -> Split:
    """Split particles before anything is mixed.

    Held-out particles take all their sites, except bulk, out of training. Folds deal
    the remaining particles, ordered by their number of inequivalent sites, in turn;
    member k never sees fold k, counted round. A bootstrap draws as many particles as
    there are, with replacement, and a member never sees those it did not draw.
    """
    banned = held_out_sites(library, recipe.held_out)
    names = [
        name
        for name in library.complete(REFERENCE_SCALE)
        if name not in recipe.held_out
        and name not in recipe.duplicates
        and particle_sites(library, name) - banned
    ]
    order = sorted(names, key=lambda name: len(library.particles[name]))
    members, folds = recipe.fit.members, recipe.fit.folds
    if folds:
        unseen = [tuple(order[k % folds :: folds]) for k in range(members)]
    else:
        chance = random.Random(recipe.seed)  # noqa: S311 - not for secrets
        drawn = [set(chance.choices(order, k=len(order))) for _ in range(members)]
        unseen = [tuple(n for n in order if n not in bag) for bag in drawn]
    return Split(tuple(names), recipe.held_out, tuple(unseen))


def held_out_sites(library: Library, names: Sequence[str]) -> set[str]:
    """Return all sites of some particles, except bulk."""
    return {site for name in names for site in particle_sites(library, name)}


def training_structures(library: Library, recipe: Recipe, parts: Split) -> Structures:
    """Return everything training may mix."""
    banned = held_out_sites(library, recipe.held_out)
    return structures(library, banned, parts.training)


def draws_of(
    library: Library, recipe: Recipe, name: str, rng: torch.Generator
) -> Tensor:
    """Draw a training particle at every scale, alone and with a share of bulk.

    `draws x rows`, without the sites it shares with held-out particles.
    """
    banned = held_out_sites(library, recipe.held_out)
    blocks: list[Tensor] = []
    for scale in library.scales:
        if name not in library.complete(scale):
            continue
        alone = without(library, name, scale, banned)
        bulk = particle_weights(library, BULK, scale)
        count = recipe.calibration.draws
        share = torch.where(
            torch.rand(count, 1, generator=rng) < recipe.mixtures.bulk,
            torch.rand(count, 1, generator=rng),
            torch.zeros(count, 1),
        )
        blocks.append((1 - share) * alone + share * bulk)
    return torch.cat(blocks)


def draw_pool(
    library: Library,
    recipe: Recipe,
    parts: Split,
    on: Stage,
    rng: torch.Generator,
    progress: Callable[[float], None],
) -> Pool:
    """Draw the pool; a member may see a draw if none of its fold's sites is in it."""
    chunks: list[tuple[Tensor, ...]] = []
    for weights, allowed in draw_structures(library, recipe, parts, rng, progress):
        drawn = differences(on, weights, recipe.nuisances, rng)
        truth = labels(library, weights, recipe.descriptors)
        chunks.append((drawn.values, drawn.noise[:, 0], truth, allowed))
    return Pool(*(torch.cat(column) for column in zip(*chunks, strict=True)))


def draw_structures(
    library: Library,
    recipe: Recipe,
    parts: Split,
    rng: torch.Generator,
    progress: Callable[[float], None],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield structures chunk by chunk, as many as the pool holds, and who may see them.

    A chunk is weights, `draws x rows`, and `draws x members`; equal shares of it are
    drawn for members that never see the same fold.
    """
    kits = [
        _structures_for(library, recipe, parts, fold)
        for fold in dict.fromkeys(parts.folds)
    ]
    fold_rows = torch.stack([_rows_of(library, fold) for fold in parts.folds], -1)
    for start in range(0, recipe.fit.pool, _CHUNK):
        count = min(_CHUNK, recipe.fit.pool - start)
        each = -(-count // len(kits))
        weights = torch.cat([draw(kit, recipe.mixtures, each, rng) for kit in kits])
        weights = weights[:count]
        seen = (weights != 0).to(torch.float32) @ fold_rows
        yield weights, seen == 0
        progress((start + count) / recipe.fit.pool)


def _structures_for(
    library: Library, recipe: Recipe, parts: Split, fold: Sequence[str]
) -> Structures:
    """Return what members that never see a fold may mix.

    Drawn from all structures, few mixtures of many sites would lack the fold's.
    """
    banned = held_out_sites(library, (*recipe.held_out, *fold))
    return structures(library, banned, [n for n in parts.training if n not in fold])


def _rows_of(library: Library, names: Sequence[str]) -> Tensor:
    sites = held_out_sites(library, names)
    return torch.tensor([float(site in sites) for site in library.site])
