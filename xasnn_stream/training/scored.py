"""Estimates of drawn spectra, made as the engine makes them, beside their truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from xasnn_stream.engine.inference import (
    Differences,
    decompose,
    member_means,
    noise_level,
    scaling_of,
)
from xasnn_stream.engine.model import Model
from xasnn_stream.library import Library
from xasnn_stream.training.conditions import conditions
from xasnn_stream.training.mixtures import labels
from xasnn_stream.training.nuisances import differences, stage
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.uncertainty.decomposition import Parts
from xasnn_stream.uncertainty.metrics import mean

_CHUNK = 1000
"""Spectra evaluated at once: their Jacobians fill the memory, not the spectra."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Estimates and what they are compared with, each `draws x outputs`.

    `intervals` holds (low, high) by nominal level. `weight` (`draws`) lets every
    particle count once; `owners` names the particle of each draw; `noise` is each
    draw's noise level.
    """

    names: tuple[str, ...]
    truth: Tensor
    value: Tensor
    std: Tensor
    intervals: Mapping[float, tuple[Tensor, Tensor]]
    weight: Tensor
    owners: tuple[str, ...]
    noise: Tensor

    def only(self, rows: Sequence[int]) -> "Scored":
        """Return some of the draws."""
        index = torch.tensor(rows, device=self.truth.device)
        intervals = {
            level: (low[index], high[index])
            for level, (low, high) in self.intervals.items()
        }
        return Scored(
            self.names,
            self.truth[index],
            self.value[index],
            self.std[index],
            intervals,
            self.weight[index],
            tuple(self.owners[row] for row in rows),
            self.noise[index],
        )


def drawn_under(
    model: Model,
    recipe: Recipe,
    library: Library,
    weights: Tensor,
    condition: str,
    rng: torch.Generator,
) -> tuple[Differences, Tensor]:
    """Return one spectrum of each structure under a named condition, and the truth.

    `weights` is `draws x rows` of the library, the truth `draws x outputs`; both are as
    the model computes.
    """
    nuisances = conditions(recipe.nuisances)[condition]
    drawn = differences(stage(library, recipe.input), weights, nuisances, rng)
    truth = labels(library, weights, model.descriptors)
    return as_double(drawn, model.device), truth.double().to(model.device)


def score(
    model: Model, drawn: Differences, truth: Tensor, owners: tuple[str, ...]
) -> Scored:
    """Estimate drawn spectra; `truth` is `draws x outputs`, `owners` `draws`."""
    parts = estimate(model, drawn)
    return Scored(
        names=model.descriptors,
        truth=truth,
        value=parts.value,
        std=parts.std,
        intervals={level: model.interval(parts, level) for level in model.quantiles},
        weight=particle_weight(owners, model.device),
        owners=owners,
        noise=noise_level(drawn.noise),
    )


def estimate(model: Model, drawn: Differences) -> Parts:
    """Evaluate the ensemble on draws, in chunks that fit into memory."""
    scaling = scaling_of(model.tensors)
    chunks = [
        decompose(model.parameters, scaling, only(drawn, rows.tolist()))
        for rows in torch.arange(len(drawn.values)).split(_CHUNK)
    ]
    return Parts(
        *(
            torch.cat([getattr(chunk, field.name) for chunk in chunks])
            for field in fields(Parts)
        )
    )


def member_errors(
    model: Model, drawn: Differences, truth: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation over members of each one's MAE, `outputs`.

    Spread of the errors of models trained alike, on one test set (the lecture's
    test-set benchmarking); between test sets it is compared in `test_sets`.
    """
    values = member_means(model.parameters, scaling_of(model.tensors), drawn)
    mae = torch.stack([mean((value - truth).abs(), weight) for value in values])
    return mae.mean(0), mae.std(0)


def particle_weight(owners: Sequence[str], device: str) -> Tensor:
    """Return weights with which every particle counts once, `draws`."""
    counts: dict[str, int] = {}
    for owner in owners:
        counts[owner] = counts.get(owner, 0) + 1
    shares = [1.0 / (counts[owner] * len(counts)) for owner in owners]
    return torch.tensor(shares, dtype=torch.float64, device=device)


def only(drawn: Differences, rows: Sequence[int]) -> Differences:
    """Return some of the spectra."""
    index = torch.tensor(rows, device=drawn.values.device)
    return _each(drawn, lambda tensor: tensor[index])


def as_double(drawn: Differences, device: str) -> Differences:
    """Return draws as the shipped model sees them: float64 on its device."""
    return _each(drawn, lambda tensor: tensor.to(device, torch.float64))


def _each(drawn: Differences, change: Callable[[Tensor], Tensor]) -> Differences:
    """Change every tensor; the bins of draws are independent, so `white` is None."""
    return Differences(
        change(drawn.values),
        change(drawn.noise),
        change(drawn.directions),
        change(drawn.edge_shift),
    )
