"""How far a scan's energy axis is off: its reference foil against a standard spectrum.

The shift is the one that, with a gain and an offset for what normalization leaves, fits
the standard to the measured edge by least squares; its uncertainty is that of the fit
with the noise of the points (the Cramér-Rao bound of a linearized fit).
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import torch
from torch import Tensor

from xasnn_stream.physics.normalization.edge import half_step
from xasnn_stream.physics.ragged import segment

BELOW_EV, ABOVE_EV = 20.0, 50.0
"""Around the edge of the standard: rise, white line and the first oscillations."""
_LEAST_POINTS = 8
_ITERATIONS = 12
_LONGEST_STEP_EV = 2.0


def shift_against(
    energy: Tensor,
    flat: Tensor,
    valid: Tensor,
    noise: Tensor,
    e0: Tensor,
    ref_energy: Tensor,
    ref_flat: Tensor,
    ref_valid: Tensor,
    ref_e0: Tensor,
    ref_noise: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return by how much an energy axis reads too high (eV), and the standard deviation.

    `energy` minus the shift is the axis of the standard. NaN where the two have too few
    points of the edge in common. A standard as noisy as the scan pulls the shift towards
    the difference of their half steps: average it, or take a clean one.

    Parameters
    ----------
    energy, flat, valid, noise, e0
        Flattened μ of the scan's reference, `batch x points`; noise of one point in
        units of the step and e0, `batch`.
    ref_energy, ref_flat, ref_valid, ref_e0, ref_noise
        The standard, alike; its batch is as large, or one.
    """
    noise2 = noise.square()
    if ref_noise is not None:
        noise2 = noise2 + ref_noise.square()
    batch = len(flat)
    ref_energy, ref_flat, ref_valid = (
        t.expand(batch, -1) for t in (ref_energy, ref_flat, ref_valid)
    )
    ref_e0 = ref_e0.expand(batch)
    middle = half_step(ref_energy, ref_flat, ref_valid, ref_e0)
    shift = half_step(energy, flat, valid, e0) - middle
    shift = torch.where(shift.isfinite(), shift, e0 - ref_e0)
    standard = (ref_energy, ref_flat, ref_valid, ref_e0)
    variance = torch.full_like(shift, torch.nan)
    for _ in range(_ITERATIONS):
        step, variance = _improve(energy - shift.unsqueeze(-1), flat, valid, *standard)
        shift = shift + step.clamp(-_LONGEST_STEP_EV, _LONGEST_STEP_EV)
    return shift, (variance * noise2).sqrt()


def _improve(
    energy: Tensor,
    flat: Tensor,
    valid: Tensor,
    ref_energy: Tensor,
    ref_flat: Tensor,
    ref_valid: Tensor,
    ref_e0: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the next step of the shift and its variance per variance of a point."""
    model, slope, inside = _cubic(energy, ref_energy, ref_flat, ref_valid)
    relative = energy - ref_e0.unsqueeze(-1)
    used = inside & valid & (relative >= -BELOW_EV) & (relative <= ABOVE_EV)
    design = torch.stack((torch.ones_like(model), model, -slope), -1)
    design = design * used.unsqueeze(-1)
    normal = design.mT @ design
    enough = (used.sum(-1) >= _LEAST_POINTS) & (normal[:, 2, 2] > 0)
    identity = torch.eye(3, dtype=normal.dtype, device=normal.device)
    normal = torch.where(enough.reshape(-1, 1, 1), normal, identity)
    right = (design.mT @ flat.unsqueeze(-1)).squeeze(-1)
    inverse = torch.linalg.inv(normal)
    solution = (inverse @ right.unsqueeze(-1)).squeeze(-1)
    # d(gain · model)/d(shift) = -gain · slope
    gain = solution[:, 1]
    step, variance = solution[:, 2] / gain, inverse[:, 2, 2] / gain.square()
    return torch.where(enough, step, torch.nan), torch.where(
        enough, variance, torch.nan
    )


def _cubic(
    at: Tensor, x: Tensor, y: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Interpolate by cubic Hermite pieces; return values, slopes and where data are.

    The slope at a point is that of the parabola through it and its neighbours.
    """
    left, inside = segment(at, x, valid)
    gap = x.diff()
    gap = torch.where(gap > 0, gap, 1.0)
    chord = y.diff() / gap
    inner = (chord[:, :-1] * gap[:, 1:] + chord[:, 1:] * gap[:, :-1]) / (
        gap[:, :-1] + gap[:, 1:]
    )
    slope = torch.cat((chord[:, :1], inner, chord[:, -1:]), -1)
    h, y0 = gap.gather(-1, left), y.gather(-1, left)
    rise = y.gather(-1, left + 1) - y0
    m0, m1 = slope.gather(-1, left) * h, slope.gather(-1, left + 1) * h
    t = (at - x.gather(-1, left)) / h
    b, c = 3 * rise - 2 * m0 - m1, m0 + m1 - 2 * rise
    return y0 + t * (m0 + t * (b + t * c)), (m0 + t * (2 * b + t * 3 * c)) / h, inside
