"""An ensemble of heteroscedastic networks, all members in one batched evaluation."""

import torch
from torch import Tensor

from xasnn_stream.networks.architectures import ARCHITECTURES, architecture_of
from xasnn_stream.networks.layers import Parameters, Shape, members_of

__all__ = ["Parameters", "Shape", "forward", "initialize"]

_ROWS = 128
"""Rows that the CPU reads at once: what is between the layers of all members then stays
in its cache, and thousands of rows take no longer than member after member would."""


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
    read = ARCHITECTURES[architecture_of(parameters)].forward
    if inputs.dim() != 2:
        return read(parameters, inputs)
    alike = inputs.expand(members_of(parameters), *inputs.shape)
    if inputs.device.type != "cpu" or len(inputs) <= _ROWS:
        return read(parameters, alike)
    parts = [read(parameters, rows) for rows in alike.split(_ROWS, 1)]
    means, log_variances = zip(*parts, strict=True)
    return torch.cat(means, 1), torch.cat(log_variances, 1)
