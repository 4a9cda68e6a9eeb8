"""Set N1: from a structure to the difference spectrum a beamline would have given.

Three classes. *Theory* (one draw for sample and foil): stretch, Gaussian broadening,
amplitude of the difference. *Beamline* (sample and foil apart): energy shift, edge
step, post-edge slope, noise. *Sample*: thermal damping relative to the foil,
self-absorption, lattice scale (drawn with the mixture).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.engine.inference import Differences
from xasnn_stream.library import Library
from xasnn_stream.physics.align import bin_means, edge_position
from xasnn_stream.physics.instrument import broaden, damp, distort_energy
from xasnn_stream.training.mixtures import REFERENCE_SCALE
from xasnn_stream.training.recipe import Input, Nuisances, Range


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The library as tensors, the model's grid and where the foil's edge is put on it."""

    x: Tensor
    mu: Tensor
    atomic: Tensor
    foil: Tensor
    grid: Tensor
    edge_at: float


def stage(library: Library, grid: Input) -> Stage:
    """Prepare a library for drawing spectra on a grid."""

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    mu = tensor(library.mu)
    foil = mu[library.rows(REFERENCE_SCALE)[library.bulk_site]]
    x = tensor(library.x)
    points = round((grid.stop - grid.start) / grid.step) + 1
    position = _position(x, foil.unsqueeze(0))
    return Stage(
        x=x,
        mu=mu,
        atomic=tensor(library.atomic),
        foil=foil,
        grid=torch.linspace(grid.start, grid.stop, points),
        edge_at=float(position[0]),
    )


def quiet(nuisances: Nuisances) -> Nuisances:
    """Return the same set with every nuisance off, noise included."""
    off = dict.fromkeys(Nuisances.__slots__, (0.0, 0.0))
    return Nuisances(**(off | {"stretch": (1.0, 1.0), "amplitude": (1.0, 1.0)}))


def with_noise(nuisances: Nuisances, sample: float, foil: float) -> Nuisances:
    """Return the same set at fixed noise levels, per 1 eV in units of the step."""
    return replace(nuisances, noise=(sample, sample), foil_noise=(foil, foil))


def differences(
    on: Stage, weights: Tensor, nuisances: Nuisances, rng: torch.Generator
) -> Differences:
    """Draw one measurement of each structure.

    `weights` is `draws x rows`; see `mixtures`. Noise is white per point of the
    library's grid with the density that gives `noise` per 1 eV.
    """
    count = weights.shape[0]

    def drawn(bounds: Range, *shape: int) -> Tensor:
        low, high = bounds
        return low + (high - low) * torch.rand(*shape, count, generator=rng)

    sample = weights @ on.mu
    sample = damp(sample, on.x, on.atomic, drawn(nuisances.delta_sigma2))
    sample = on.foil + drawn(nuisances.amplitude).unsqueeze(-1) * (sample - on.foil)
    absorbed = drawn(nuisances.self_absorption).unsqueeze(-1)
    sample = sample * (1 + absorbed) / (1 + absorbed * sample)
    pair = torch.stack((sample, on.foil.expand_as(sample)))
    stretch = drawn(nuisances.stretch).expand(2, count)
    pair = distort_energy(pair, on.x, drawn(nuisances.shift, 2), stretch)
    pair = broaden(pair, on.x, drawn(nuisances.broadening).expand(2, count))
    pair = pair * (1 + drawn(nuisances.edge_step, 2).unsqueeze(-1))
    slope = drawn(nuisances.slope_per_100ev, 2).unsqueeze(-1)
    pair = pair + slope * on.x.clamp(min=0) / 100
    noise = torch.stack((drawn(nuisances.noise), drawn(nuisances.foil_noise)))
    noise = noise.clamp(min=0)
    per_point = noise / (on.x[1] - on.x[0]).sqrt()
    pair = pair + per_point.unsqueeze(-1) * torch.randn(pair.shape, generator=rng)

    curves = pair.flatten(0, 1)
    seen = on_grid(on, curves, _position(on.x, curves)).unflatten(0, (2, count))
    level = noise.square().sum(0).sqrt()
    bins = on.grid.numel()
    return Differences(
        values=seen[0] - seen[1],
        noise=level.unsqueeze(-1).expand(count, bins),
        directions=torch.zeros(count, 0, bins),
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
