"""How much fluorescence is damped, by the transmission of the same sample."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.engine.absorption import Absorption
from xasnn_stream.engine.seen import Seen
from xasnn_stream.physics.noise.points import NOISE_FROM_EV, point_noise
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.over_absorption import damping
from xasnn_stream.physics.settings import Normalization


@dataclass(frozen=True, slots=True, eq=False)
class Amplitude:
    """Fine structure over that of transmission and its error; `batch`, NaN if unknown."""

    damping: Tensor
    std: Tensor


def amplitude(
    of: Absorption, seen: Seen, settings: Normalization, limits: tuple[Tensor, Tensor]
) -> Amplitude:
    """Compare fluorescence with its transmission, where that shows the edge."""
    unknown = torch.full_like(seen.noise, torch.nan)
    has = (of.beside.isfinite() | ~of.valid).all(-1)
    if not bool(has.any()):
        return Amplitude(unknown, unknown)
    beside = torch.where(has.unsqueeze(-1), of.beside, of.mu)
    e0 = seen.curves.e0
    standard = normalize(of.energy, beside, of.valid, settings, e0, limits)
    noise = point_noise(of.energy, standard.norm, of.valid, e0 + NOISE_FROM_EV)
    found = damping(
        of.energy,
        seen.normalized.flat,
        of.valid,
        e0,
        of.energy,
        standard.flat,
        of.valid,
        noise,
    )
    told = has & found.is_told
    return Amplitude(
        torch.where(told, found.factor, unknown), torch.where(told, found.std, unknown)
    )
