"""Denoising by penalized least squares with a smoothness chosen point by point.

A spectrum is smoothed at a ladder of smoothnesses λ in the coordinate of `stretch`, where
one λ is as stiff in k as it is at the edge (P. Eilers, Anal. Chem. 75, 3631 (2003), on an
uneven grid). Two neighbouring rungs a < b together, (b z_a - a z_b) / (b - a), have the
bias a b D⁴ of twice smoothing. Around each point Stein's unbiased estimate tells bias and
variance of every rung, and the rungs are averaged with weights exp(-risk / 2T).

The highest point behind the edge is a result that people read: around it bias counts
several times, and narrower rungs are open.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.grids import Kept, Rows, on_any_grid
from xasnn_stream.physics.denoise.ladder import Ladder, build, smooth
from xasnn_stream.physics.denoise.stretch import natural_width, stretched

_EDGE_WIDTH, _WIDTH_IN_K = 0.87, 0.22
"""In natural widths at the edge; 1/angstrom above."""
_LOG10_RUNGS = (-6.0, 2.0, 17)
_NARROWEST = -3.0
"""Logarithm of the λ below which no feature but a white line is as narrow. Without it
the jitter of an energy axis, which is none of the points' noise, would be kept."""
_WINDOW, _WINDOW_IN_K = 1.74, 2.5
"""Half of what a risk is taken over: natural widths at the edge, 1/angstrom above."""

_BIAS_COUNTS, _BIAS_COUNTS_AT_WHITE_LINE = 1.0, 12.0
"""Of a squared bias over a variance: a bias does not average out."""
_TEMPERATURE = 4.0
_REFUSED = 80.0

_WHITE_LINE_EV = (-3.0, 28.0)
_WHITE_LINE_WIDTHS = 0.74
_PILOT = 5
_RESOLVED, _RESOLVED_AT_WHITE_LINE = 6, 3
"""Rungs by number: that whose highest point is the white line, and those whose residual
is noise."""
_GIVEN = 10.0
"""Noise as given counts as much as so many degrees of freedom of the residual."""


_MOST_TIMES = 3.0
"""Noise squared is at most so many times that given: more is signal a rung does not
follow."""


class _Operators(NamedTuple):
    """A ladder and what is known of its pairs, `pairs x points` or `pairs x pairs x …`.

    `own` is a point's share in itself, `shared` the covariance of pairs at a point for
    unit noise; `low` and `high` (`points`) bound the window of a point.
    """

    ladder: Ladder
    own: Tensor
    shared: Tensor
    low: Tensor
    high: Tensor


def _rungs(like: Tensor) -> Tensor:
    low, high, count = _LOG10_RUNGS
    return torch.logspace(low, high, count, dtype=like.dtype).to(like.device)


def _build(x: Tensor, e0: float) -> _Operators:
    rungs, natural = _rungs(x), natural_width(e0)
    ladder = build(stretched(x, _EDGE_WIDTH * natural, _WIDTH_IN_K), rungs)
    single = _products(ladder.diagonal, rungs)
    first, second = _pair(rungs)
    half = first[:, None, None] * single[:-1] + second[:, None, None] * single[1:]
    shared = first[:, None] * half[:, :-1] + second[:, None] * half[:, 1:]
    own = first[:, None] * ladder.diagonal[:-1] + second[:, None] * ladder.diagonal[1:]
    window = stretched(x, _WINDOW * natural, _WINDOW_IN_K)
    low = torch.searchsorted(window, window - 1)
    high = torch.searchsorted(window, window + 1, right=True)
    return _Operators(ladder, own, shared, low, high)


def _pair(rungs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of both rungs of each neighbouring pair, `pairs`."""
    a, b = rungs[:-1], rungs[1:]
    return b / (b - a), -a / (b - a)


def _products(diagonal: Tensor, rungs: Tensor) -> Tensor:
    """Return the diagonals of the products of smoothers, `rungs x rungs x points`.

    With H = 1 / (1 + λ P): H_a H_b = (a H_a - b H_b) / (a - b) and
    H² = H + dH / d ln λ.
    """
    weighted = rungs[:, None] * diagonal
    apart = rungs[:, None] - rungs
    apart = apart + torch.diag(torch.ones_like(rungs))
    products = (weighted[:, None] - weighted) / apart.unsqueeze(-1)
    (slope,) = torch.gradient(diagonal, spacing=(rungs.log(),), dim=0)
    square = (diagonal + slope).clamp(min=0).minimum(diagonal)
    index = torch.arange(len(rungs), device=rungs.device)
    products[index, index] = square
    return products


_operators = Kept(_build)


def _method(rows: Rows) -> Denoised:
    operators: _Operators = _operators(rows)
    first, second = _pair(_rungs(rows.x))
    rungs = smooth(operators.ladder, rows.mu)
    curves = first[:, None, None] * rungs[:-1] + second[:, None, None] * rungs[1:]
    weights = _weights(rows, operators, curves)
    mean = (weights * curves).sum(0)
    shared = torch.einsum("jkn,krn->jrn", operators.shared, weights)
    variance = (weights * shared).sum(0).clamp(min=0)
    return Denoised(mean, rows.noise * variance.sqrt())


def _weights(rows: Rows, operators: _Operators, curves: Tensor) -> Tensor:
    """Return the weights of the pairs at each point, `pairs x rows x points`."""
    near = _near_white_line(rows, curves[_PILOT])
    residual = (rows.mu - curves).square()
    variance = operators.shared.diagonal().T
    noise2 = _noise2(rows, operators, residual, near)
    own, variance = operators.own.unsqueeze(1), variance.unsqueeze(1)
    bias = _window(residual / noise2 - 1 + 2 * own - variance, operators)
    counts = _BIAS_COUNTS + (_BIAS_COUNTS_AT_WHITE_LINE - _BIAS_COUNTS) * near
    risk = counts * bias + _window(variance, operators)
    lowest, highest, count = _LOG10_RUNGS
    step = (highest - lowest) / (count - 1)
    rung = lowest + step * torch.arange(len(curves), device=near.device).to(near.dtype)
    narrowest = _NARROWEST + (lowest - _NARROWEST) * near
    missing = ((narrowest - rung[:, None, None]) / step).clamp(0, 1)
    return torch.softmax(-(risk + _REFUSED * missing) / _TEMPERATURE, 0)


def _near_white_line(rows: Rows, pilot: Tensor) -> Tensor:
    """Return how near each point is to the highest one behind the edge, 0 to 1."""
    low, high = _WHITE_LINE_EV
    outside = (rows.x < low) | (rows.x > high)
    at = rows.x[pilot.masked_fill(outside, -torch.inf).argmax(-1)]
    reach = _WHITE_LINE_WIDTHS * natural_width(rows.e0)
    return torch.exp(-((rows.x - at.unsqueeze(-1)) / reach).square())


def _noise2(
    rows: Rows, operators: _Operators, residual: Tensor, near: Tensor
) -> Tensor:
    """Return the noise squared: as given, and as the residual of a resolving rung says.

    Noise is given from either side of the edge, where counts differ. At the white line
    the rung is a narrower one, for there what a wide one leaves may be signal.
    """
    given = rows.noise.square()

    def at(rung: int) -> Tensor:
        share, variance = operators.own[rung], operators.shared[rung, rung]
        freedom = _window((1 - 2 * share + variance).clamp(min=0), operators)
        found = _GIVEN * given + _window(residual[rung], operators)
        return (found / (_GIVEN + freedom)).minimum(_MOST_TIMES * given)

    return torch.lerp(at(_RESOLVED), at(_RESOLVED_AT_WHITE_LINE), near)


def _window(values: Tensor, operators: _Operators) -> Tensor:
    """Return the sums of values over the window of each point."""
    total = functional.pad(values.cumsum(-1), (1, 0))
    return total[..., operators.high] - total[..., operators.low]


whittaker = on_any_grid(_method)
