"""The architectures, each a way to read standardized spectra.

Coordination numbers are linear in the mixture of sites, so every member is a linear
readout (`skip`) plus what its architecture adds; a second head gives the logarithm of
the variance that remains. Inputs are `members x batch x inputs`, the last of which is
the logarithm of the noise and no part of the spectrum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.networks.layers import (
    Parameters,
    Shape,
    bounded,
    dense,
    draw_dense,
    hidden_sizes,
    perceptron,
)

_CHANNELS = (8, 16)
"""Of the two convolutions; each halves the number of bins."""
_KERNEL, _STRIDE = 9, 2
"""Of a convolution, in bins: 9 eV on the usual grid, as wide as a white line."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """How parameters are drawn, and how all members read `members x batch x inputs`.

    `forward` returns mean and logarithm of the variance, `members x batch x outputs`.
    """

    initialize: Callable[[Shape, torch.Generator], dict[str, Tensor]]
    forward: Callable[[Parameters, Tensor], tuple[Tensor, Tensor]]


def _draw_perceptron(shape: Shape, generator: torch.Generator) -> dict[str, Tensor]:
    layers = hidden_sizes(shape.inputs, shape)
    layers["skip"] = (shape.inputs, shape.outputs)
    return draw_dense(layers, shape.members, generator)


def _read_perceptron(parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor]:
    correction, log_variance = perceptron(parameters, inputs)
    return dense(parameters, "skip", inputs) + correction, log_variance


def _draw_convolution(shape: Shape, generator: torch.Generator) -> dict[str, Tensor]:
    layers: dict[str, tuple[int, int]] = {}
    channels, bins = 1, shape.inputs - 1
    for index, made in enumerate(_CHANNELS):
        layers[f"filter{index}"] = (channels * _KERNEL, made)
        channels, bins = made, (bins - 1) // _STRIDE + 1
    layers |= hidden_sizes(channels * bins + 1, shape)
    layers["skip"] = (shape.inputs, shape.outputs)
    return draw_dense(layers, shape.members, generator)


def _read_convolution(parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor]:
    seen = inputs[..., :-1].unsqueeze(-1)
    for index in range(len(_CHANNELS)):
        seen = functional.silu(_convolve(parameters, f"filter{index}", seen))
    found = torch.cat((seen.flatten(2), inputs[..., -1:]), -1)
    correction, log_variance = perceptron(parameters, found)
    return dense(parameters, "skip", inputs) + correction, log_variance


def _convolve(parameters: Parameters, name: str, seen: Tensor) -> Tensor:
    """Convolve every member with its own filters, `members x batch x bins x channels`.

    As one dense layer over windows: in float64, which the engine computes in, torch's
    grouped convolution takes up to ten times as long.
    """
    margin = _KERNEL // 2
    padded = functional.pad(seen, (0, 0, margin, margin))
    windows = padded.unfold(2, _KERNEL, _STRIDE)
    members, batch, bins = windows.shape[:3]
    made = dense(parameters, name, windows.reshape(members, batch * bins, -1))
    return made.unflatten(1, (batch, bins))


def _draw_linear(shape: Shape, generator: torch.Generator) -> dict[str, Tensor]:
    sizes = (shape.inputs, shape.outputs)
    return draw_dense({"skip": sizes, "variance": sizes}, shape.members, generator)


def _read_linear(parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor]:
    log_variance = bounded(dense(parameters, "variance", inputs))
    return dense(parameters, "skip", inputs), log_variance


ARCHITECTURES = {
    "mlp": Architecture(_draw_perceptron, _read_perceptron),
    "cnn": Architecture(_draw_convolution, _read_convolution),
    "linear": Architecture(_draw_linear, _read_linear),
}
"""By the name a recipe gives: perceptron, convolutions before a perceptron, and neither."""


def architecture_of(parameters: Parameters) -> str:
    """Return the name of the architecture that parameters were drawn for."""
    if "filter0.weight" in parameters:
        return "cnn"
    return "mlp" if "head.weight" in parameters else "linear"
