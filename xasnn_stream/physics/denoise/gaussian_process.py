"""Denoising by a Gaussian process whose length scale follows the physics.

A core hole of width Γ multiplies a spectrum's Fourier power by exp(-Γ |t|), and the
covariance with that power is Cauchy's, 1 / (1 + (ΔE / Γ)²). Here it stands in the
stretched coordinate of `stretch`, so that its length grows from electronvolts at the
edge to a constant in k; times an amplitude, over a background that is not penalized.

Length scales and amplitude are those of highest marginal likelihood on a small grid; the
noise is known. Rotated into the eigenvectors of a covariance, likelihood, mean and
deviation of any number of spectra are sums over modes.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.grids import Kept, Rows, on_any_grid
from xasnn_stream.physics.denoise.levels import by_level
from xasnn_stream.physics.denoise.stretch import amplitude, stretched

_EDGE_WIDTHS_EV = (1.0, 1.6, 2.5, 4.0)
_WIDTHS_IN_K = (0.2, 0.4, 0.8)
_AMPLITUDES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Of fine structure, in units of the edge step; what noise hides is not assumed away."""

_EDGE_AMPLITUDE = 30.0
"""Rise and white line over fine structure: generous, so that neither is shaved."""

_LANDMARKS_PER_WIDTH = 4
"""Enough for the covariance's power, exp(-4 π) at the highest frequency they carry."""

_RISE_EV = 1.0


class _Modes(NamedTuple):
    """A covariance without the background: `vectors` `points x modes`, `power` `modes`."""

    vectors: Tensor
    power: Tensor


class _Operators(NamedTuple):
    background: Tensor
    modes: list[_Modes]


def _build(x: Tensor, e0: float) -> _Operators:
    del e0
    background = torch.linalg.qr(_background(x)).Q
    size = amplitude(x, _EDGE_AMPLITUDE).unsqueeze(-1)
    modes = [
        _decompose(stretched(x, edge_ev, per_k), size, background)
        for edge_ev, per_k in product(_EDGE_WIDTHS_EV, _WIDTHS_IN_K)
    ]
    return _Operators(background, modes)


def _background(x: Tensor) -> Tensor:
    """Return what any spectrum may hold: a cubic, and another one behind a step."""
    t = x / x.abs().max()
    step = 0.5 + torch.atan(x / _RISE_EV) / math.pi
    one = torch.ones_like(x)
    powers = (one, t, t**2, t**3)
    return torch.stack((*powers, *(step * power for power in powers)), -1)


def _decompose(u: Tensor, size: Tensor, background: Tensor) -> _Modes:
    """Return the eigenvectors of the covariance orthogonal to the background."""
    span = float(u[-1])
    count = math.ceil(span * _LANDMARKS_PER_WIDTH) + 1
    if u.numel() <= count:
        covariance = size * _cauchy(u, u) * size.T
        covariance = covariance - background @ (background.T @ covariance)
        covariance = covariance - (covariance @ background) @ background.T
        power, vectors = torch.linalg.eigh(covariance)
        keep = slice(background.shape[-1], None)
        return _Modes(vectors[:, keep], power[keep].clamp(min=0))
    # Many more points than the covariance has degrees of freedom: through landmarks.
    at = torch.linspace(0, span, count, dtype=u.dtype, device=u.device)
    root = torch.linalg.cholesky(_cauchy(at, at))
    features = torch.linalg.solve_triangular(root, _cauchy(at, u), upper=False).T * size
    features = features - background @ (background.T @ features)
    vectors, values, _ = torch.linalg.svd(features, full_matrices=False)
    return _Modes(vectors, values.square())


def _cauchy(a: Tensor, b: Tensor) -> Tensor:
    return 1 / (1 + (a.unsqueeze(-1) - b).square())


_operators = Kept(_build)


def _method(rows: Rows) -> Denoised:
    operators: _Operators = _operators(rows)
    background = operators.background
    smooth = (rows.mu @ background) @ background.T
    rough = rows.mu - smooth
    step2 = _step(rows).square()
    sizes = torch.tensor(_AMPLITUDES, dtype=rows.mu.dtype, device=rows.mu.device) ** 2
    table = torch.stack(
        [_likelihood(rough, modes, rows, step2, sizes) for modes in operators.modes]
    )
    best = table.flatten(0, 1).argmax(0)
    which, size = best // len(sizes), best % len(sizes)
    mean = smooth.clone()
    variance = background.square().sum(-1).expand_as(mean).clone()
    for index, modes in enumerate(operators.modes):
        chosen = which == index
        if bool(chosen.any()):
            prior = (sizes[size[chosen]] * step2[chosen]).unsqueeze(-1) * modes.power
            found, remains = _posterior(rough[chosen], modes, prior, rows.noise[chosen])
            mean[chosen] += found
            variance[chosen] += remains
    return Denoised(mean, rows.noise * variance.sqrt())


def _posterior(
    rough: Tensor, modes: _Modes, prior: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean, and variance relative to the noise's, each `rows x points`."""
    found = rough @ modes.vectors
    squared = modes.vectors.square().T

    def at_level(level: Tensor) -> tuple[Tensor, Tensor]:
        share = prior / (prior + level.square().unsqueeze(-1))
        return (share * found) @ modes.vectors.T, share @ squared

    return by_level(noise, at_level)


def _likelihood(
    rough: Tensor, modes: _Modes, rows: Rows, step2: Tensor, sizes: Tensor
) -> Tensor:
    """Return the log likelihood of every amplitude, `sizes x rows`.

    Modes are taken for independent, though noise that changes along a spectrum
    correlates them a little; what no mode reaches is noise alone.
    """
    squared = modes.vectors.square()
    found = (rough @ modes.vectors).square()
    noise2 = rows.noise.square()
    inside = noise2 @ squared
    variance = sizes[:, None, None] * step2[:, None] * modes.power + inside
    likelihood = (variance.log() + found / variance).sum(-1)
    free = rough.shape[-1] - modes.power.numel()
    rest = (noise2.sum(-1) - inside.sum(-1)).clamp(min=0) / max(free, 1)
    outside = (rough.square().sum(-1) - found.sum(-1)).clamp(min=0)
    if free > 0:
        likelihood = likelihood + free * rest.log() + outside / rest
    return -0.5 * likelihood


def _step(rows: Rows) -> Tensor:
    """Return a rough edge step, `rows`: the mean behind the edge less that before it."""
    behind = ((rows.x > 15.0) & (rows.x < 150.0)).to(rows.mu.dtype)
    before = (rows.x < -15.0).to(rows.mu.dtype)
    means = [rows.mu @ part / part.sum().clamp(min=1) for part in (behind, before)]
    spread = rows.mu.amax(-1) - rows.mu.amin(-1)
    both = bool(behind.any()) and bool(before.any())
    return (means[0] - means[1]).abs() if both else spread


gaussian_process = on_any_grid(_method)
