"""What an arm of the study may look at: differences, samples, or samples and foils."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from xasnn_stream.library import Library
from xasnn_stream.physics.align import edge_position
from xasnn_stream.physics.instrument import Nuisances
from xasnn_stream.training.mixtures import labels
from xasnn_stream.training.nuisances import (
    Measured,
    Stage,
    measured,
    on_grid,
    subtracted,
)
from xasnn_stream.training.pool import Pool, Split, draw_structures
from xasnn_stream.training.recipe import Recipe

Kind = Literal["difference", "absolute", "both"]
"""Sample minus foil, the sample alone, or the sample beside the difference."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Spectra with their edges at the foil's place, every way they can be looked at.

    `difference` and `absolute` are `draws x bins`; `noise` (of the difference) and
    `sample_noise`, both per bin, are `draws`.
    """

    difference: Tensor
    absolute: Tensor
    noise: Tensor
    sample_noise: Tensor

    def until(self, bins: int) -> "Views":
        """Return the first bins alone."""
        return replace(
            self,
            difference=self.difference[:, :bins],
            absolute=self.absolute[:, :bins],
        )

    def values(self, kind: Kind) -> Tensor:
        """Return what a network reads, `draws x inputs`."""
        if kind == "both":
            return torch.cat((self.absolute, self.difference), -1)
        return self.absolute if kind == "absolute" else self.difference

    def level(self, kind: Kind) -> Tensor:
        """Return the noise a network is told, `draws`."""
        return self.sample_noise if kind == "absolute" else self.noise


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """Measured structures: `truth` is `draws x outputs`, `allowed` `draws x members`.

    `sizes` is what was drawn of every nuisance; see `nuisances.Measured`.
    """

    views: Views
    truth: Tensor
    allowed: Tensor
    sizes: Mapping[str, Tensor]

    def pool(self, kind: Kind) -> Pool:
        """Return what networks with one kind of input are trained on."""
        seen = self.views
        return Pool(seen.values(kind), seen.level(kind), self.truth, self.allowed)


def measure(
    library: Library,
    recipe: Recipe,
    parts: Split,
    on: Stage,
    rng: torch.Generator,
) -> Measurements:
    """Draw the pool of a recipe as `draw_pool` does, and keep all there is to see."""
    chunks: list[tuple[Views, dict[str, Tensor], Tensor, Tensor]] = []
    for weights, allowed in draw_structures(
        library, recipe, parts, rng, lambda _: None
    ):
        pair = measured(on, weights, recipe.nuisances, rng)
        sizes = {
            name: size.reshape(-1, len(weights)) for name, size in pair.sizes.items()
        }
        truth = labels(library, weights, recipe.descriptors)
        chunks.append((views(on, pair), sizes, truth, allowed))
    seen, sizes, truth, allowed = zip(*chunks, strict=True)
    return Measurements(
        views=Views(
            *(
                torch.cat([getattr(chunk, name) for chunk in seen])
                for name in Views.__slots__
            )
        ),
        truth=torch.cat(truth),
        allowed=torch.cat(allowed),
        sizes={
            name: torch.cat([chunk[name] for chunk in sizes], -1) for name in sizes[0]
        },
    )


def look(
    on: Stage, weights: Tensor, nuisances: Nuisances, rng: torch.Generator
) -> Views:
    """Measure each structure once, `weights` being `draws x rows`."""
    return views(on, measured(on, weights, nuisances, rng))


def views(on: Stage, pair: Measured) -> Views:
    """Align measurements on their edges and look at them every way."""
    difference = subtracted(on, pair)
    return Views(
        difference=difference.values,
        absolute=on_grid(on, pair.sample, edges(on, pair.sample)),
        noise=difference.noise[:, 0],
        sample_noise=pair.noise[0],
    )


def edges(on: Stage, curves: Tensor) -> Tensor:
    """Return where the edges of curves on the library's energies are, `draws`, eV."""
    everywhere = torch.ones_like(curves, dtype=torch.bool)
    around = torch.zeros(len(curves))
    return edge_position(on.x.expand_as(curves), curves, everywhere, around)
