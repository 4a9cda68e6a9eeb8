"""What architectures are made of: parameters stacked by member, and dense layers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Parameters = Mapping[str, Tensor]
"""Weights and biases by name, `<layer>.weight` (`members x inputs x outputs`) and
`<layer>.bias` (`members x 1 x outputs`)."""

_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE = -10.0, 4.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of an ensemble: `depth` hidden layers of `hidden` units in each member."""

    members: int
    inputs: int
    hidden: int
    depth: int
    outputs: int


def members_of(parameters: Parameters) -> int:
    """Return how many members are stacked."""
    return parameters["skip.weight"].shape[0]


def draw_dense(
    layers: Mapping[str, tuple[int, int]], members: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw dense layers, given as name: (inputs, outputs).

    Weights are uniform in ±1/√inputs, biases zero.
    """
    parameters: dict[str, Tensor] = {}
    for name, (inputs, outputs) in layers.items():
        bound = math.sqrt(1 / inputs)
        weight = torch.rand(members, inputs, outputs, generator=generator)
        parameters[f"{name}.weight"] = (2 * weight - 1) * bound
        parameters[f"{name}.bias"] = torch.zeros(members, 1, outputs)
    return parameters


def dense(parameters: Parameters, name: str, inputs: Tensor) -> Tensor:
    """Apply a dense layer of every member, `members x batch x inputs` → outputs."""
    return torch.baddbmm(
        parameters[f"{name}.bias"], inputs, parameters[f"{name}.weight"]
    )


def hidden_sizes(inputs: int, shape: Shape) -> dict[str, tuple[int, int]]:
    """Return the sizes of the hidden layers and the head of a perceptron."""
    sizes = [inputs] + [shape.hidden] * shape.depth
    layers = {f"layer{i}": (sizes[i], sizes[i + 1]) for i in range(shape.depth)}
    return layers | {"head": (shape.hidden, 2 * shape.outputs)}


def perceptron(parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Apply hidden layers and the head, whose halves are returned."""
    hidden = inputs
    depth = sum(name.startswith("layer") for name in parameters) // 2
    for index in range(depth):
        hidden = functional.silu(dense(parameters, f"layer{index}", hidden))
    correction, log_variance = dense(parameters, "head", hidden).chunk(2, dim=-1)
    return correction, bounded(log_variance)


def bounded(log_variance: Tensor) -> Tensor:
    """Keep a logarithm of variance where its exponential is a number to work with."""
    return log_variance.clamp(_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE)
