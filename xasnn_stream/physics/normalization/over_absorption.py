"""Amplitudes that are too small: over-absorbed fluorescence, and samples too thick.

Fluorescence of a concentrated sample is absorbed on its way out and saturates: its white
line and fine structure are damped. Compared with the transmission of the same sample the
damping is a number. In transmission, harmonics and light beside the sample do the same
once little of the beam is left.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.ragged import interpolate

FROM_EV, TO_EV = 15.0, 300.0
"""Range above e0 compared: less the rise, which an axis off by tenths of an eV distorts."""
_LEAST_POINTS = 20
_SLOW_DEGREE = 2
"""Polynomial in energy that flattening may leave different in both."""

_ALIKE, _SURE = 0.8, 0.1
"""Correlation of two fine structures of one sample, at least, and error of the factor, at
most; else the transmission is of something else or too noisy to say."""
TOO_DAMPED = 0.9
"""Damping below which amplitudes, hence coordination numbers, are off by a tenth."""
TOO_THICK = 3.0
"""Total μ·t at which a leak of LEAKAGE damps by 2 %; 4 is damped by 5 %, 6 by 29 %."""
LEAKAGE = 1e-3
"""Share of the beam that passes unabsorbed, by harmonics or holes, of a good beamline."""


@dataclass(frozen=True, slots=True, eq=False)
class Damping:
    """Fine structure relative to that of a standard, its error, and correlation; `batch`.

    A `factor` of 1 is undamped. Where `correlation` is low the two are not of one sample.
    """

    factor: Tensor
    std: Tensor
    correlation: Tensor

    @property
    def is_told(self) -> Tensor:
        """Whether the two are of one sample and so plain that the factor counts."""
        return (self.correlation > _ALIKE) & (self.std < _SURE)


def damping(
    energy: Tensor,
    flat: Tensor,
    valid: Tensor,
    e0: Tensor,
    standard_energy: Tensor,
    standard_flat: Tensor,
    standard_valid: Tensor,
    standard_noise: Tensor,
) -> Damping:
    """Compare flattened fluorescence with the transmission measured with it.

    The factor is the slope of a regression of one fine structure on the other, with a
    slow polynomial for what flattening leaves; the noise of the standard, which would
    lower the slope, is taken out. NaN where they have fewer than 20 points in common.

    Parameters
    ----------
    energy, flat, valid, e0
        Of the fluorescence: `batch x points`, and `batch`.
    standard_energy, standard_flat, standard_valid, standard_noise
        Of the transmission on the same axis; its noise of one point in edge steps.
    """
    relative = energy - e0.unsqueeze(-1)
    model = interpolate(energy, standard_energy, standard_flat, standard_valid)
    used = valid & (relative >= FROM_EV) & (relative <= TO_EV) & model.isfinite()
    enough = used.sum(-1) >= _LEAST_POINTS
    x = _without_slow(model, relative, used)
    y = _without_slow(flat, relative, used)
    freedom = used.sum(-1) - _SLOW_DEGREE - 1
    power = x.square().sum(-1)
    noise = standard_noise.square() * freedom
    product = (x * y).sum(-1)
    factor = product / (power - noise)
    apart = y - factor.unsqueeze(-1) * x
    variance = apart.square().sum(-1) / (freedom - 1)
    std = (variance * power).sqrt() / (power - noise)
    correlation = product / (power * y.square().sum(-1)).sqrt()
    enough = enough & (power > 2 * noise)
    return Damping(
        *(torch.where(enough, value, torch.nan) for value in (factor, std, correlation))
    )


def _without_slow(curve: Tensor, relative: Tensor, used: Tensor) -> Tensor:
    """Return what a slow polynomial leaves of a curve; zero outside `used`."""
    t = 2 * (relative - FROM_EV) / (TO_EV - FROM_EV) - 1
    powers = torch.arange(_SLOW_DEGREE + 1, device=t.device)
    design = t.unsqueeze(-1) ** powers * used.unsqueeze(-1)
    values = torch.where(used, curve, 0.0).unsqueeze(-1)
    normal = design.mT @ design
    rescue = 1e-12 * torch.eye(_SLOW_DEGREE + 1, dtype=t.dtype, device=t.device)
    slow = design @ torch.linalg.solve(normal + rescue, design.mT @ values)
    return (values - slow).squeeze(-1)


def leakage_damping(total: Tensor, leakage: float = LEAKAGE) -> Tensor:
    """Return by which factor a change of μ is damped at a total μ·t; any shape.

    Measured is -ln((exp(-μt) + l) / (1 + l)) for a leak l, so that its derivative by μt
    is exp(-μt) / (exp(-μt) + l).
    """
    return 1.0 / (1.0 + leakage * total.exp())
