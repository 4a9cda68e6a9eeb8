"""What stands between a site spectrum and a beamline's counts: operators and their sizes.

All functions take spectra on a uniform energy grid, `(..., energy)`, and are batched:
parameters have the leading shape `(...)` and broadcast.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

HC2_OVER_2M_EV_A2 = 3.80998212
"""ħ²/2mₑ in eV Å², so that k² = (E - E0) / 3.81 with k in 1/Å."""

MISFIT_LENGTH_EV = 4.0
"""Over which theory errs alike: about the width of the core hole."""

MISFIT_FLOOR = 0.02
"""In edge steps: two foils of one metal differ as well, whose theory is the same."""

Range = tuple[float, float]
"""Lowest and highest value of what is drawn uniformly between them."""


@dataclass(frozen=True, slots=True)
class Nuisances:
    """Ranges of everything that stands between a structure and its measured spectrum.

    *Theory*, one draw for sample and foil together: `stretch` (1) and Gaussian
    `broadening` (eV FWHM), and `amplitude` (1) of their difference; `misfit` is what
    theory misses of the sample alone, a smooth random curve whose rms is this share of
    that of their difference and `MISFIT_FLOOR`.
    *Beamline*, sample and foil drawn apart: `shift` (eV), `energy_scale` (of the axis,
    1), `resolution` (eV FWHM on top of `broadening`), `thickness` (share of the signal
    at the height of the step that a curve loses, as by leakage), `edge_step` (1),
    `slope_per_100ev` of the post-edge line, `noise` and `foil_noise` (per 1 eV, in edge
    steps; below zero is none). *Sample*: `delta_sigma2` (Å², against the foil) and
    `self_absorption`.
    """

    stretch: Range
    broadening: Range
    amplitude: Range
    misfit: Range
    shift: Range
    energy_scale: Range
    resolution: Range
    thickness: Range
    edge_step: Range
    slope_per_100ev: Range
    delta_sigma2: Range
    self_absorption: Range
    noise: Range
    foil_noise: Range


NONE = Nuisances(
    **(
        dict.fromkeys(Nuisances.__slots__, (0.0, 0.0))
        | {"stretch": (1.0, 1.0), "amplitude": (1.0, 1.0)}
    )
)
"""A perfect beamline and a perfect theory."""

N1 = replace(
    NONE,
    stretch=(1.00, 1.05),
    broadening=(0.0, 3.0),
    amplitude=(0.85, 1.05),
    shift=(-0.6, 0.6),
    edge_step=(-0.012, 0.012),
    slope_per_100ev=(-0.012, 0.012),
    delta_sigma2=(0.0, 0.004),
    self_absorption=(0.0, 0.01),
    noise=(0.0, 0.006),
    foil_noise=(0.0, 0.003),
)
"""The set that models are compared on; recipes may draw more widely."""


def absorb_again(mu: Tensor, share: Tensor) -> Tensor:
    """Damp normalized spectra as self-absorption and thickness do, unit step kept.

    μ → μ (1 + a) / (1 + a μ), `share` a having the leading shape of `mu`, `(...)`.
    """
    share = share.unsqueeze(-1)
    return mu * (1 + share) / (1 + share * mu)


def resample(mu: Tensor, x: Tensor, at: Tensor) -> Tensor:
    """Evaluate spectra at other energies by cubic convolution (Keys 1981, a = -1/2).

    Parameters
    ----------
    mu
        `(..., energy)` on the uniform ascending grid `x` of shape `(energy,)`, eV.
    at
        Energies wanted, `(..., points)` or `(points,)`; beyond the grid the end values
        continue.
    """
    step = (x[-1] - x[0]) / (x.numel() - 1)
    position = ((at - x[0]) / step).clamp(0, x.numel() - 1)
    left = position.floor().clamp(max=x.numel() - 2)
    t = position - left
    weights = (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    index = left.long()
    shape = torch.broadcast_shapes(mu.shape[:-1], index.shape[:-1])
    mu = mu.expand(*shape, mu.shape[-1])
    index = index.expand(*shape, index.shape[-1])
    return sum(
        weight * mu.gather(-1, (index + offset).clamp(0, x.numel() - 1))
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True)
    )  # type: ignore[return-value]


def distort_energy(mu: Tensor, x: Tensor, shift: Tensor, stretch: Tensor) -> Tensor:
    """Move every feature from x to `stretch * x + shift` (eV, about the edge at x = 0).

    `shift` (eV) and `stretch` (1) have the leading shape of `mu`, `(...)`.
    """
    at = (x - shift.unsqueeze(-1)) / stretch.unsqueeze(-1)
    return resample(mu, x, at)


def broaden(mu: Tensor, x: Tensor, fwhm_ev: Tensor) -> Tensor:
    """Convolve with a Gaussian of full width at half maximum `fwhm_ev`, shape `(...)`.

    The product of the spectrum's Fourier transform with exp(-2 π² σ² f²); the ends are
    continued by their values over a quarter of the range, which a Gaussian of a few eV
    does not cross.
    """
    n = x.numel()
    step = (x[-1] - x[0]) / (n - 1)
    pad = n // 4
    left = mu[..., :1].expand(*mu.shape[:-1], pad)
    right = mu[..., -1:].expand(*mu.shape[:-1], pad)
    padded = torch.cat((left, mu, right), -1)
    # A ramp between the two end values removed: what remains is periodic.
    length = n + 2 * pad
    ramp = torch.linspace(0, 1, length, dtype=mu.dtype, device=mu.device)
    base = padded[..., :1] + (padded[..., -1:] - padded[..., :1]) * ramp
    sigma = (fwhm_ev / (2 * math.sqrt(2 * math.log(2)))).unsqueeze(-1)
    frequency = torch.fft.rfftfreq(length, dtype=mu.dtype, device=mu.device) / step
    spectrum = torch.fft.rfft(padded - base)
    spectrum = spectrum * torch.exp(-2 * (math.pi * sigma * frequency) ** 2)
    smooth = torch.fft.irfft(spectrum, n=length) + base
    return smooth[..., pad : pad + n]


def damp(mu: Tensor, x: Tensor, atomic: Tensor, delta_sigma2: Tensor) -> Tensor:
    """Damp the fine structure thermally: χ → χ exp(-2 k² Δσ²), k² = x / (ħ²/2m).

    `atomic` is the smooth background, `(..., energy)` or `(energy,)`; `delta_sigma2`
    (Å²) has the leading shape of `mu`. Below the edge nothing is damped.
    """
    k2 = x.clamp(min=0) / HC2_OVER_2M_EV_A2
    factor = torch.exp(-2 * k2 * delta_sigma2.unsqueeze(-1))
    return atomic + (mu - atomic) * factor
