"""Transforms between χ(k), χ(R) and χ(q), batched, with larch's names and scales.

χ(R) = kstep/√π Σ k^w Ω(k) χ(k) exp(-2ikR), χ(q) the transform back through a window in
R; and the noise of χ from the components at R where no atoms are seen.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from xasnn_stream.physics.exafs.wavenumber import grid_points, uniform_grid
from xasnn_stream.physics.exafs.window import window
from xasnn_stream.physics.settings import BackTransform, Transform


@dataclass(frozen=True, slots=True, eq=False)
class ForwardTransformed:
    """χ(R): `r` (`nr`, angstrom), `chir` (complex, `batch x nr`), `kwin` (`rows x nk`).

    `kwin` has one row where all rows share their window. `chir_mag` is |χ(R)|.
    """

    r: Tensor
    chir: Tensor
    kwin: Tensor

    @property
    def chir_mag(self) -> Tensor:
        """|χ(R)|, `batch x nr`."""
        return self.chir.abs()


@dataclass(frozen=True, slots=True, eq=False)
class BackTransformed:
    """χ(q): `q` (`nq`, 1/angstrom), `chiq` (complex, `batch x nq`), `rwin` (`nr`)."""

    q: Tensor
    chiq: Tensor
    rwin: Tensor


def xftf(
    k: Tensor, chi: Tensor, settings: Transform, kmax: Tensor | None = None
) -> ForwardTransformed:
    """Transform χ(k) to χ(R).

    Parameters
    ----------
    k
        The grid of χ from zero in steps of `settings.kstep`, `(nk,)`.
    chi
        `batch x nk`, zero where a row has no data.
    settings
        Parameters, larch's names and defaults.
    kmax
        Upper ends of the windows, `batch`, in place of `settings.kmax`.
    """
    if kmax is None:
        kwin, weights = _shared_window(len(k), settings, k.device)
    else:
        kwin = _forward_window(k, settings, kmax)
        weights = kwin * k.pow(settings.kweight)
    step = math.pi / (settings.kstep * settings.nfft)
    bins = int(min(settings.nfft / 2, 1.01 + settings.rmax_out / step))
    padded = torch.fft.rfft(chi * weights.to(chi.dtype), n=settings.nfft)
    chir = padded[..., :bins] * (settings.kstep / math.sqrt(math.pi))
    return ForwardTransformed(uniform_grid(bins, step, chi.device), chir, kwin)


@lru_cache(maxsize=64)
def _shared_window(
    points: int, settings: Transform, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the window of all rows, `1 x nk`, and with the k-weight."""
    k = uniform_grid(points, settings.kstep, device)
    kwin = _forward_window(k, settings, k.new_tensor([settings.kmax]))
    return kwin, kwin * k.pow(settings.kweight)


def _forward_window(k: Tensor, settings: Transform, kmax: Tensor) -> Tensor:
    """Return the window on `k`, `rows x nk`; the grid it is made on may be longer."""
    dk2 = settings.dk if settings.dk2 is None else settings.dk2
    upper = kmax.to(k)
    lower = torch.full_like(upper, settings.kmin)
    points = grid_points((upper + dk2).clamp(min=float(k[-1])), settings.kstep)
    grid = uniform_grid(int(points.max()), settings.kstep, k.device)
    shape = window(grid, lower, upper, settings.dk, dk2, settings.window, points)
    return shape[:, : len(k)]


def xftr(r: Tensor, chir: Tensor, settings: BackTransform) -> BackTransformed:
    """Transform χ(R) back to χ(q) through a window in R.

    Parameters
    ----------
    r
        The grid of χ(R) from zero, `(nr,)`, as `xftf` gives it.
    chir
        Complex χ(R), `batch x nr`.
    settings
        Parameters, larch's names and defaults.
    """
    rstep = float(r[1] - r[0])
    kstep = math.pi / (rstep * settings.nfft)
    grid = uniform_grid(settings.nfft, rstep, chir.device)
    ends = grid.new_tensor([settings.rmin]), grid.new_tensor([settings.rmax])
    rwin = window(grid, *ends, settings.dr, settings.dr2, settings.window)[0, : len(r)]
    weights = (rwin * r.pow(settings.rw)).to(chir.real.dtype)
    back = torch.fft.ifft(chir * weights, n=settings.nfft)
    bins = int(1.05 + settings.qmax_out / kstep)
    # Half, because a real χ(k) has as much at negative R.
    chiq = back[..., : min(bins, settings.nfft // 2)] * (2 * math.sqrt(math.pi) / kstep)
    q = torch.linspace(0, settings.qmax_out, bins, dtype=r.dtype, device=r.device)
    return BackTransformed(q[: chiq.shape[-1]], chiq, rwin)


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Noise of χ, one standard deviation, each `batch`.

    `epsilon_k` is that of χ(k), `epsilon_r` that of a real or imaginary part of χ(R);
    `kmax_suggest` (1/angstrom) is where χ(q) first falls below `epsilon_k`.
    """

    epsilon_k: Tensor
    epsilon_r: Tensor
    kmax_suggest: Tensor


HIGH_R = (15.0, 30.0)
"""Distances (angstrom) at which all of χ(R) is taken for noise."""

_NOISE_WINDOW = Transform(kweight=1, dk=4.0)
_BACK_WINDOW = BackTransform(rmin=0.5, rmax=9.5, dr=1.0, window="parzen")


def estimate_noise(
    k: Tensor,
    chi: Tensor,
    reached: Tensor | None = None,
    settings: Transform = _NOISE_WINDOW,
) -> Noise:
    """Estimate the noise of χ(k) from χ(R) at 15 to 30 angstrom, as larch does.

    Parameters
    ----------
    k, chi
        As for `xftf`.
    reached
        Where a row has data, `batch x nk`; everywhere by default.
    settings
        Range, window and k-weight of the transform; larch's are the default.
    """
    rmax_out = min(10 * math.pi, HIGH_R[1] + 2)
    wide = Transform(
        settings.kmin, settings.kmax, settings.kweight, settings.dk, settings.dk2,
        settings.window, rmax_out, settings.nfft, settings.kstep,
    )  # fmt: skip
    forward = xftf(k, chi, wide)
    rstep = math.pi / (settings.kstep * settings.nfft)
    high = slice(
        int(0.01 + HIGH_R[0] / rstep),
        int(min(settings.nfft / 2, 1.01 + HIGH_R[1] / rstep)),
    )
    power = torch.view_as_real(forward.chir[:, high]).square().mean((1, 2))
    covered = forward.kwin if reached is None else forward.kwin * reached
    span = settings.kmax - settings.kmin
    mean = (covered.sum(-1) * settings.kstep / span).to(chi.dtype)
    epsilon_r = power.sqrt() / mean
    # Parseval's theorem, with the k-weight.
    order = 2 * settings.kweight + 1
    volume = settings.kstep * (settings.kmax**order - settings.kmin**order)
    epsilon_k = epsilon_r * math.sqrt(2 * math.pi * order / volume)
    return Noise(epsilon_k, epsilon_r, _suggested(forward, epsilon_k, settings))


def _suggested(
    forward: ForwardTransformed, epsilon_k: Tensor, settings: Transform
) -> Tensor:
    """Return the first q of the upper half at which |χ(q)| is below the noise."""
    back = xftr(forward.r, forward.chir, _BACK_WINDOW)
    start = int((back.q <= (settings.kmax + settings.kmin) / 2).sum()) - 1
    q = back.q[start:]
    quiet = back.chiq[:, start:].abs() / q.pow(settings.kweight).to(epsilon_k.dtype)
    below = quiet < epsilon_k.unsqueeze(-1)
    return torch.where(below.any(-1), q[below.to(torch.uint8).argmax(-1)], q[-1])
