"""From difference spectra to descriptors with uncertainties: the batched core.

Used alike by the daemon, by calibration and by evaluation, so that what is calibrated
is what is delivered.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from xasnn_stream.networks.ensemble import Parameters, forward
from xasnn_stream.uncertainty.decomposition import Parts, White, independent, propagate

_QUIET = 1e-5
"""Noise per bin that stands for none: the networks see its logarithm, and training has
draws without noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """What the networks see: sample minus foil on the model's grid.

    Parameters
    ----------
    values
        `batch x bins`.
    noise
        Standard deviation per bin, of sample and foil together, `batch x bins`: the
        level the networks are told.
    directions
        One-standard-deviation curves of correlated errors, `batch x errors x bins`.
    edge_shift
        Edge of the sample less that of the foil, eV, `batch`; NaN without a foil.
    white
        How counting noise propagates; None if the bins are independent.
    """

    values: Tensor
    noise: Tensor
    directions: Tensor
    edge_shift: Tensor
    white: White | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Standardization: `input_mean` (`bins`), `input_scale`, outputs (`outputs`)."""

    input_mean: Tensor
    input_scale: Tensor
    output_mean: Tensor
    output_scale: Tensor


def features(scaling: Scaling, values: Tensor, noise_level: Tensor) -> Tensor:
    """Return network inputs, `batch x (bins + 1)`: scaled spectrum and log noise."""
    spectrum = (values - scaling.input_mean) / scaling.input_scale
    level = torch.log(noise_level.clamp(min=_QUIET) / 1e-3) / 2
    return torch.cat((spectrum, level.unsqueeze(-1)), -1)


def noise_level(noise: Tensor) -> Tensor:
    """Return the root mean square over bins, `batch`."""
    return noise.square().mean(-1).sqrt()


def member_means(
    parameters: Parameters, scaling: Scaling, differences: Differences
) -> Tensor:
    """Return every member's estimate, `members x batch x outputs`."""
    inputs = features(scaling, differences.values, noise_level(differences.noise))
    mean, _ = forward(parameters, inputs)
    return mean * scaling.output_scale + scaling.output_mean


def decompose(
    parameters: Parameters, scaling: Scaling, differences: Differences
) -> Parts:
    """Evaluate the whole ensemble and split its uncertainty into parts."""
    level = noise_level(differences.noise)
    means = member_means(parameters, scaling, differences)
    quiet = features(scaling, differences.values, torch.zeros_like(level))
    _, log_variance = forward(parameters, quiet)

    def mean_of_members(values: Tensor) -> Tensor:
        mean, _ = forward(parameters, features(scaling, values, level))
        return mean.mean(0) * scaling.output_scale

    white = differences.white or independent(differences.noise)
    noise = propagate(
        mean_of_members, differences.values, white, differences.directions
    )
    return Parts(
        value=means.mean(0),
        model=means.std(0),
        noise=noise,
        ambiguity=log_variance.exp().mean(0).sqrt() * scaling.output_scale,
    )


def scaling_of(tensors: dict[str, Tensor]) -> Scaling:
    """Return the standardization stored with a model."""
    return Scaling(*(tensors[f"scaling.{field.name}"] for field in fields(Scaling)))
