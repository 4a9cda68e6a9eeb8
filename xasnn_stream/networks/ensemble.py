"""An ensemble of heteroscedastic perceptrons, all members in one batched evaluation.

Coordination numbers are linear in the mixture of sites, so each member is a linear
readout plus a perceptron that corrects it; a second head gives the logarithm of the
variance that remains. Parameters are stacked along a leading member dimension.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Parameters = Mapping[str, Tensor]
"""`skip`, `layer0` … `layerN`, `head`, each with `.weight` and `.bias`."""

_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE = -10.0, 4.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of an ensemble."""

    members: int
    inputs: int
    hidden: int
    depth: int
    outputs: int


def initialize(shape: Shape, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw initial parameters: uniform in ±1/√inputs, biases zero."""
    sizes = [shape.inputs] + [shape.hidden] * shape.depth
    layers = {f"layer{i}": (sizes[i], sizes[i + 1]) for i in range(shape.depth)}
    layers["head"] = (shape.hidden, 2 * shape.outputs)
    layers["skip"] = (shape.inputs, shape.outputs)
    parameters: dict[str, Tensor] = {}
    for name, (inputs, outputs) in layers.items():
        bound = math.sqrt(1 / inputs)
        weight = torch.rand(shape.members, inputs, outputs, generator=generator)
        parameters[f"{name}.weight"] = (2 * weight - 1) * bound
        parameters[f"{name}.bias"] = torch.zeros(shape.members, 1, outputs)
    return parameters


def forward(parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate all members at once.

    Parameters
    ----------
    inputs
        Standardized features, `batch x inputs` for all members alike or
        `members x batch x inputs`.

    Returns
    -------
    mean, log_variance
        Each `members x batch x outputs`, in standardized units.
    """
    members = parameters["skip.weight"].shape[0]
    if inputs.dim() == 2:
        inputs = inputs.expand(members, *inputs.shape)
    hidden = inputs
    depth = sum(name.startswith("layer") for name in parameters) // 2
    for index in range(depth):
        hidden = functional.silu(_linear(parameters, f"layer{index}", hidden))
    correction, log_variance = _linear(parameters, "head", hidden).chunk(2, dim=-1)
    mean = _linear(parameters, "skip", inputs) + correction
    return mean, log_variance.clamp(_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE)


def _linear(parameters: Parameters, name: str, inputs: Tensor) -> Tensor:
    return torch.baddbmm(
        parameters[f"{name}.bias"], inputs, parameters[f"{name}.weight"]
    )
