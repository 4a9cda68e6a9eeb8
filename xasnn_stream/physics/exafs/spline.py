"""Cubic splines of many rows at once: interpolation, and a basis for fitting.

Rows are ascending with a valid prefix; beyond their ends the first and last polynomials
continue, as in FITPACK.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_REDUCTIONS = 6
"""Steps of cyclic reduction. Beside the diagonal stands at most half of it, which a step
takes from q to q²/(1 - q²): 1/2, 1/3, 1/8… 4e-15 after six; 2e-14 in the rows at the
ends, which may start close to 1."""

MIN_POINTS = 4
"""Points a not-a-knot cubic needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Where wanted points lie between given ones, and each one's four weights.

    `left` (`rows x wanted`) is the index of the point at or below; the interpolant is
    `left_y·y[left] + right_y·y[left + 1] + left_m·y''[left] + right_m·y''[left + 1]`.
    """

    left: Tensor
    left_y: Tensor
    right_y: Tensor
    left_m: Tensor
    right_m: Tensor


def second_derivatives(x: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    """Return y'' at the points of the not-a-knot interpolating spline, like `y`.

    `x` and `valid` are `rows x points` (or one row for all rows of `y`), at least four
    points per row. Between points y'' is linear; the third derivative is continuous at
    the second and the last but one point. Solved by parallel cyclic reduction.
    """
    below, above, right = _tridiagonal(x, y, valid)
    for power in range(_REDUCTIONS):
        step = 1 << power
        if step >= x.shape[-1]:
            break
        low, high = (..., slice(None, -step)), (..., slice(step, None))
        across = below[high] * above[low]
        diagonal = torch.ones_like(below)
        diagonal[high] -= across
        diagonal[low] -= across
        scale = diagonal.reciprocal_()
        reduced = right.clone()
        reduced[high].addcmul_(below[high], right[low], value=-1)
        reduced[low].addcmul_(above[low], right[high], value=-1)
        right = reduced.mul_(scale)
        below_next, above_next = torch.zeros_like(below), torch.zeros_like(above)
        torch.mul(below[high], below[low], out=below_next[high])
        torch.mul(above[low], above[high], out=above_next[low])
        below, above = below_next.mul_(scale).neg_(), above_next.mul_(scale).neg_()
    return _with_ends(x, right, valid)


def _tridiagonal(x: Tensor, y: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the equations of inner y'': below, above (diagonal 1) and right side.

    Not-a-knot ends are put in: y''₀ = y''₁ - (y''₂ - y''₁) h₀/h₁, and so at the end.
    """
    h = x.diff().clamp(min=torch.finfo(x.dtype).tiny)
    before = functional.pad(h, (1, 0), value=1.0)
    after = functional.pad(h, (0, 1), value=1.0)
    slope = functional.pad(y.diff() / h, (1, 1))
    position = torch.arange(x.shape[-1], device=x.device)
    count = valid.sum(-1, keepdim=True)
    first, last = position == 1, position == count - 2
    inner = (position >= 1) & (position <= count - 2)
    lead, tail = torch.where(first, before, 0.0), torch.where(last, after, 0.0)
    extra_lead, extra_tail = lead.square() / after, tail.square() / before
    diagonal = 2 * (before + after) + lead + extra_lead + tail + extra_tail
    below = torch.where(first, 0.0, before - extra_tail)
    above = torch.where(last, 0.0, after - extra_lead)
    scale = torch.where(inner, 1 / diagonal, 0.0)
    right = 6 * (slope[..., 1:] - slope[..., :-1]) * scale
    return below * scale, above * scale, torch.where(inner, right, 0.0)


def _with_ends(x: Tensor, second: Tensor, valid: Tensor) -> Tensor:
    """Put y'' of the first and last points beside the inner ones."""
    h = x.diff()
    last = valid.sum(-1, keepdim=True) - 1
    ratio = h[..., :1] / h[..., 1:2]
    start = second[..., 1:2] - (second[..., 2:3] - second[..., 1:2]) * ratio

    def at(values: Tensor, back: int) -> Tensor:
        index = (last - back).clamp(min=0, max=values.shape[-1] - 1)
        return values.gather(-1, index.expand(*values.shape[:-1], 1))

    ratio = at(h, 1) / at(h, 2)
    end = at(second, 1) + (at(second, 1) - at(second, 2)) * ratio
    position = torch.arange(x.shape[-1], device=x.device)
    second = torch.where(position == last, end, second)
    return torch.cat((start, second[..., 1:]), -1)


def segments(at: Tensor, x: Tensor, valid: Tensor) -> Segments:
    """Find ascending points `at` (`(wanted,)`) between those of `x` (`rows x points`)."""
    last = valid.sum(-1, keepdim=True) - 1
    position = torch.searchsorted(at, x.contiguous()).masked_fill(~valid, len(at))
    left = (_passed(position, len(at)) - 1).clamp(min=0)
    left = torch.minimum(left, (last - 1).clamp(min=0))
    x0, x1 = x.gather(-1, left), x.gather(-1, left + 1)
    h = x1 - x0
    u, v = (x1 - at) / h, (at - x0) / h
    sixth = h.square() / 6
    return Segments(left, u, v, (u.pow(3) - u) * sixth, (v.pow(3) - v) * sixth)


def _passed(position: Tensor, points: int) -> Tensor:
    """Count how many of the places in a row lie at or before each of its points.

    For ascending points this beats a search per point.
    """
    shape = *position.shape[:-1], points + 1
    count = torch.zeros(shape, dtype=torch.long, device=position.device)
    count.scatter_add_(-1, position, torch.ones_like(position))
    return count[..., :-1].cumsum(-1)


def evaluate(where: Segments, y: Tensor, second: Tensor) -> Tensor:
    """Return the spline at the points of `where`, `rows x wanted`."""
    left = where.left.expand(*y.shape[:-1], -1)
    value = where.left_y * y.gather(-1, left) + where.right_y * y.gather(-1, left + 1)
    value = value + where.left_m * second.gather(-1, left)
    return value + where.right_m * second.gather(-1, left + 1)


@dataclass(frozen=True, slots=True, eq=False)
class LocalBasis:
    """The four cubic B-splines that are not zero at each point, `rows x 4 x points`.

    `first` (`rows x points`) is the index of the first of them.
    """

    first: Tensor
    weights: Tensor

    def dense(self, functions: int) -> Tensor:
        """Return all functions at all points, `rows x points x functions`.

        Points lie next to each other in memory, for sums over them.
        """
        rows, points = self.first.shape
        dense = self.weights.new_zeros(rows, functions, points)
        offset = torch.arange(4, device=self.first.device).reshape(-1, 1)
        index = self.first.unsqueeze(1) + offset
        return dense.scatter_(1, index, self.weights).mT

    def at(self, index: Tensor) -> "LocalBasis":
        """Return the functions at some of the points, `index` being `rows x wanted`."""
        each = index.unsqueeze(1).expand(-1, 4, -1)
        return LocalBasis(self.first.gather(-1, index), self.weights.gather(-1, each))

    def weighted(self, weights: Tensor) -> "LocalBasis":
        """Return the functions times `weights`, `rows x points`."""
        return LocalBasis(self.first, self.weights * weights.unsqueeze(1))

    def combine(self, coefficients: Tensor) -> Tensor:
        """Return the spline with `rows x functions` coefficients, `rows x points`."""
        total = self.weights[:, 0] * coefficients.gather(-1, self.first)
        for offset in range(1, 4):
            at = coefficients.gather(-1, self.first + offset)
            total = torch.addcmul(total, self.weights[:, offset], at)
        return total


def basis(x: Tensor, knots: Tensor, functions: Tensor) -> LocalBasis:
    """Return cubic B-splines at points.

    Parameters
    ----------
    x
        Ascending, `rows x points`, or `(points,)` for all rows.
    knots
        Ascending, `rows x (functions + 4)`, the ends four times; a row with fewer
        functions goes on with its last knot.
    functions
        How many functions each row has, `rows`.
    """
    rows = knots.shape[0]
    x = x.expand(rows, -1).contiguous()
    span = _passed(torch.searchsorted(x, knots.contiguous()), x.shape[-1]) - 1
    span = torch.minimum(span.clamp(min=3), functions.unsqueeze(-1) - 1)
    around = [knots.gather(-1, span + offset) for offset in range(-2, 4)]
    below = [x - around[2 - j] for j in range(3)]
    above = [around[3 + j] - x for j in range(3)]
    weights: list[Tensor] = [torch.ones_like(x)]
    # Cox and de Boor's recurrence over the functions that are not zero here.
    for degree in range(3):
        raised: list[Tensor] = []
        carried = torch.zeros_like(x)
        for r in range(degree + 1):
            share = weights[r] / (above[r] + below[degree - r])
            raised.append(torch.addcmul(carried, above[r], share))
            carried = below[degree - r] * share
        weights = [*raised, carried]
    return LocalBasis(span - 3, torch.stack(weights, 1))
