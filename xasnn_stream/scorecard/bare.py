"""Hallucination: what a denoiser makes of noise on an edge without fine structure."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import math

import torch
from torch import Tensor

from xasnn_stream.physics.denoise.denoiser import Denoiser
from xasnn_stream.physics.exafs.background import autobk
from xasnn_stream.physics.exafs.fourier import xftf
from xasnn_stream.physics.exafs.wavenumber import HC2_OVER_2M_EV_A2
from xasnn_stream.physics.settings import Background, Transform
from xasnn_stream.scorecard.score import Hallucination

_E0_EV = 9000.0
_RISE_EV = 2.0
_SLOPE = -0.15
"""Of μ over 1 keV, in edge steps, as the atoms' own absorption falls."""
_KMAX = 14.0
_SEED = 21
_K = (3.0, 12.0)
_R = (1.2, 6.0)
_BACKGROUND = Background(rbkg=1.0, kweight=2)
_TRANSFORM = Transform(kmin=_K[0], kmax=_K[1], kweight=2, window="hanning")
_PERCENTILE = 0.95


def bare_edge() -> tuple[Tensor, Tensor]:
    """Return the energies (eV) of a step scan and an edge without neighbours."""
    k = torch.arange(2.8, _KMAX, 0.05, dtype=torch.float64)
    x = torch.cat(
        (
            torch.arange(-150.0, -20.0, 5.0, dtype=torch.float64),
            torch.arange(-20.0, 29.5, 0.5, dtype=torch.float64),
            HC2_OVER_2M_EV_A2 * k.square(),
        )
    )
    mu = 0.5 + torch.atan(x / _RISE_EV) / math.pi + _SLOPE * x / 1000.0
    return _E0_EV + x, mu


def score_bare(
    noise: float, copies: int, name: str, denoiser: Denoiser
) -> Hallucination:
    """Score a denoiser on copies of a bare edge with `noise` (edge steps)."""
    energy, mu = bare_edge()
    generator = torch.Generator().manual_seed(_SEED)
    shape = copies, energy.numel()
    noisy = mu + noise * torch.randn(shape, generator=generator, dtype=torch.float64)
    level = torch.full((copies,), noise, dtype=torch.float64)
    at = torch.full_like(level, _E0_EV)
    smooth = denoiser(energy, noisy, None, level, at).mu
    clean = denoiser(energy, mu.unsqueeze(0), None, level[:1], at[:1]).mu
    before, after = _peaks(energy, noisy), _peaks(energy, smooth)
    return Hallucination(
        method=name,
        spectra=copies,
        chi_k=_ratio(after[0], before[0]),
        chi_r=_ratio(after[1], before[1]),
        bare=_ratio(_peaks(energy, clean)[1], before[1]),
    )


def _peaks(energy: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest |k² χ(k)| and |χ(R)| of each spectrum, each `rows`."""
    e0 = torch.full_like(mu[:, 0], _E0_EV)
    removed = autobk(energy, mu, None, e0, torch.ones_like(e0), _BACKGROUND)
    k = removed.k
    chosen = (k >= _K[0]) & (k <= _K[1])
    chi = (removed.chi * k.square())[:, chosen].abs().amax(-1)
    transformed = xftf(k, removed.chi, _TRANSFORM)
    near = (transformed.r >= _R[0]) & (transformed.r <= _R[1])
    return chi, transformed.chir_mag[:, near].amax(-1)


def _ratio(after: Tensor, before: Tensor) -> float:
    return float(after.quantile(_PERCENTILE) / before.quantile(_PERCENTILE))
