"""From a structure to the difference spectrum a beamline would have given.

What stands between them, in which sizes, is `physics.instrument.Nuisances`; the lattice
scale is drawn with the mixture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.engine.inference import Differences
from xasnn_stream.library import Library, crystal
from xasnn_stream.physics.align import bin_means, edge_position
from xasnn_stream.physics.instrument import (
    MISFIT_FLOOR,
    MISFIT_LENGTH_EV,
    Nuisances,
    absorb_again,
    broaden,
    damp,
    distort_energy,
)
from xasnn_stream.training.recipe import Input
from xasnn_stream.uncertainty.novelty import curves_of, misfit_covariance


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The library as tensors, the model's grid and where the foil's edge is put on it.

    White noise times `misfit` (`energy x energy`) is a smooth random curve of unit rms.
    """

    x: Tensor
    mu: Tensor
    atomic: Tensor
    foil: Tensor
    misfit: Tensor
    grid: Tensor
    edge_at: float


def stage(library: Library, grid: Input) -> Stage:
    """Prepare a library for drawing spectra on a grid.

    Raises
    ------
    LibraryError
        If the library does not tell the foil's spectrum; see `crystal`.
    """

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    mu = tensor(library.mu)
    foil = tensor(crystal(library))
    x = tensor(library.x)
    points = round((grid.stop - grid.start) / grid.step) + 1
    position = _position(x, foil.unsqueeze(0))
    misfit = misfit_covariance(x.double(), 1.0, MISFIT_LENGTH_EV)
    return Stage(
        x=x,
        mu=mu,
        atomic=tensor(library.atomic),
        foil=foil,
        misfit=curves_of(misfit).to(x.dtype),
        grid=torch.linspace(grid.start, grid.stop, points),
        edge_at=float(position[0]),
    )


def with_noise(nuisances: Nuisances, sample: float, foil: float) -> Nuisances:
    """Return the same set at fixed noise levels, per 1 eV in units of the step."""
    return replace(nuisances, noise=(sample, sample), foil_noise=(foil, foil))


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Curves of samples and their foils before they are aligned.

    `sample` and `foil` are `draws x energy` on the library's `x`, normalized; `noise`
    (`2 x draws`) is that of each per 1 eV. `sizes` are what was drawn of every nuisance,
    `draws`, or `2 x draws` where sample and foil differ.
    """

    sample: Tensor
    foil: Tensor
    noise: Tensor
    sizes: Mapping[str, Tensor]


def differences(
    on: Stage, weights: Tensor, nuisances: Nuisances, rng: torch.Generator
) -> Differences:
    """Draw one measurement of each structure, `weights` being `draws x rows`."""
    return subtracted(on, measured(on, weights, nuisances, rng))


def measured(
    on: Stage, weights: Tensor, nuisances: Nuisances, rng: torch.Generator
) -> Measured:
    """Draw curves of structures and their foils as a beamline would have given them.

    `weights` is `draws x rows`; see `mixtures`. Noise is white per point of the
    library's grid with the density that gives `noise` per 1 eV.
    """
    count = weights.shape[0]

    sizes: dict[str, Tensor] = {}

    def drawn(name: str, *shape: int) -> Tensor:
        low, high = getattr(nuisances, name)
        sizes[name] = low + (high - low) * torch.rand(*shape, count, generator=rng)
        return sizes[name]

    sample = weights @ on.mu
    sample = damp(sample, on.x, on.atomic, drawn("delta_sigma2"))
    sample = on.foil + drawn("amplitude").unsqueeze(-1) * (sample - on.foil)
    sample = absorb_again(sample, drawn("self_absorption"))
    pair = torch.stack((sample, on.foil.expand_as(sample)))
    pair = absorb_again(pair, drawn("thickness", 2))
    stretch = drawn("stretch") + drawn("energy_scale", 2)
    pair = distort_energy(pair, on.x, drawn("shift", 2), stretch)
    width = torch.hypot(drawn("broadening"), drawn("resolution", 2))
    pair = broaden(pair, on.x, width)
    size = (pair[0] - pair[1]).square().mean(-1).sqrt() + MISFIT_FLOOR
    missed = torch.randn(count, on.x.numel(), generator=rng) @ on.misfit
    pair[0] += (drawn("misfit") * size).unsqueeze(-1) * missed
    pair = pair * (1 + drawn("edge_step", 2).unsqueeze(-1))
    slope = drawn("slope_per_100ev", 2).unsqueeze(-1)
    pair = pair + slope * on.x.clamp(min=0) / 100
    noise = torch.stack((drawn("noise"), drawn("foil_noise")))
    noise = noise.clamp(min=0)
    per_point = noise / (on.x[1] - on.x[0]).sqrt()
    pair = pair + per_point.unsqueeze(-1) * torch.randn(pair.shape, generator=rng)
    return Measured(pair[0], pair[1], noise, sizes)


def subtracted(on: Stage, pair: Measured) -> Differences:
    """Align curves with their foils on their own edges and subtract, on the grid."""
    count = pair.sample.shape[0]
    curves = torch.cat((pair.sample, pair.foil))
    position = _position(on.x, curves)
    sample, foil = on_grid(on, curves, position).unflatten(0, (2, count))
    edge, foil_edge = position.unflatten(0, (2, count))
    level = pair.noise.square().sum(0).sqrt()
    bins = on.grid.numel()
    return Differences(
        values=sample - foil,
        noise=level.unsqueeze(-1).expand(count, bins),
        directions=torch.zeros(count, 0, bins),
        edge_shift=edge - foil_edge,
    )


def on_grid(on: Stage, curves: Tensor, position: Tensor) -> Tensor:
    """Put curves with their edge at `position` onto the model's grid."""
    at = on.grid + (position - on.edge_at).unsqueeze(-1)
    energy, valid = _axis(on.x, curves)
    step = float(on.grid[1] - on.grid[0])
    return bin_means(at, energy, curves, valid, step)


def _position(x: Tensor, curves: Tensor) -> Tensor:
    energy, valid = _axis(x, curves)
    return edge_position(energy, curves, valid, torch.zeros(curves.shape[0]))


def _axis(x: Tensor, curves: Tensor) -> tuple[Tensor, Tensor]:
    return x.expand(curves.shape), torch.ones_like(curves, dtype=torch.bool)
