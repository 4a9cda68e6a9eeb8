"""An ensemble of heteroscedastic networks, all members in one batched evaluation."""

import torch
from torch import Tensor

from xasnn_stream.networks.architectures import ARCHITECTURES, architecture_of
from xasnn_stream.networks.layers import Parameters, Shape, members_of

__all__ = ["Parameters", "Shape", "forward", "initialize"]


def initialize(
    shape: Shape, generator: torch.Generator, architecture: str = "mlp"
) -> dict[str, Tensor]:
    """Draw initial parameters, stacked along a leading member dimension."""
    return ARCHITECTURES[architecture].initialize(shape, generator)


def forward(parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate all members at once; the architecture is told by the parameters.

    Parameters
    ----------
    inputs
        Standardized spectrum and logarithm of the noise, `batch x inputs` for all
        members alike or `members x batch x inputs`.

    Returns
    -------
    mean, log_variance
        Each `members x batch x outputs`, in standardized units.
    """
    if inputs.dim() == 2:
        inputs = inputs.expand(members_of(parameters), *inputs.shape)
    return ARCHITECTURES[architecture_of(parameters)].forward(parameters, inputs)
