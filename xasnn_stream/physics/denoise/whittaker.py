"""Denoising by penalized least squares with a smoothness chosen for each spectrum.

The curve z minimizes Σ (μ - z)² + λ ∫ (z''' / a)² du, u being the coordinate of
`stretch` and a its amplitude: stiff in k space, soft at the edge (P. Eilers, Anal. Chem.
75, 3631 (2003), on an uneven grid). λ is the minimum of generalized cross-validation,
which needs no noise level. Then the residual is smoothed by the same filter and added
back, which squares what the filter takes from the signal.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import NamedTuple

import torch
from torch import Tensor

from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.grids import Kept, Rows, on_any_grid
from xasnn_stream.physics.denoise.stretch import amplitude, stretched

_ORDER = 3
_EDGE_WIDTH_EV, _WIDTH_IN_K = 1.0, 0.3
_EDGE_AMPLITUDE = 2.0
_LOG10_SOFTNESS = (-7.0, 3.0, 61)
"""Logarithms of the λ that are tried: lowest, highest, how many."""


class _Modes(NamedTuple):
    """Curves of one roughness each: `vectors` `points x points`, `roughness` `points`."""

    vectors: Tensor
    roughness: Tensor


def _build(x: Tensor) -> _Modes:
    u = stretched(x, _EDGE_WIDTH_EV, _WIDTH_IN_K)
    size = amplitude(x, _EDGE_AMPLITUDE)
    points = x.numel()
    matrix = torch.eye(points, dtype=x.dtype, device=x.device)
    for order in range(1, _ORDER + 1):
        span = u[order:] - u[:-order]
        matrix = order * matrix.diff(dim=0) / span.unsqueeze(-1)
    share = (u[_ORDER:] - u[:-_ORDER]) / _ORDER
    middle = size.unfold(0, _ORDER + 1, 1).mean(-1)
    _, values, vectors = torch.linalg.svd(
        matrix * (share.sqrt() / middle).unsqueeze(-1), full_matrices=True
    )
    roughness = torch.cat((values, values.new_zeros(_ORDER))).square()
    return _Modes(vectors.T.contiguous(), roughness)


_operators = Kept(_build)


def _method(rows: Rows) -> Denoised:
    modes: _Modes = _operators(rows)
    low, high, count = _LOG10_SOFTNESS
    softness = torch.logspace(low, high, count, dtype=rows.mu.dtype).to(rows.mu.device)
    stiff = softness.unsqueeze(-1) * modes.roughness
    removed = stiff / (1 + stiff)
    found = rows.mu @ modes.vectors
    residual = found.square() @ removed.square().T
    score = residual / removed.sum(-1).square()
    chosen = removed[score.argmin(-1)]
    kept = 1 - chosen.square()
    variance = kept.square() @ modes.vectors.square().T
    return Denoised(
        (kept * found) @ modes.vectors.T, rows.noise.unsqueeze(-1) * variance.sqrt()
    )


whittaker = on_any_grid(_method)
