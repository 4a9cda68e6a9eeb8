"""Polynomials through the points of a range, as linear operators."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from math import comb

import torch
from torch import Tensor
from torch.linalg import vecdot

from xasnn_stream.physics.ragged import gather, index_at_or_below, index_nearest

MAX_DEGREE = 3


def _points_of(
    energy: Tensor, valid: Tensor, low: Tensor, high: Tensor, degree: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first point of a range, the one behind its last, and the degree left.

    The range runs from the last point at or below `low` up to, but not including, the
    point nearest to `high`, as larch counts; it holds at least two points, and a short
    one lowers the degree. All `batch`.
    """
    first = index_at_or_below(energy, valid, low)
    stop = index_nearest(energy, valid, high)
    count = valid.sum(-1)
    first = torch.minimum(first, (count - 3).clamp(min=0))
    short = stop - first < 2
    first = torch.where(short, (first - 2).clamp(min=0), first)
    stop = torch.maximum(stop, first + 2).minimum(count)
    degree = torch.where(short, 0, degree)
    degree = torch.where(stop - first < 5, degree.clamp(max=1), degree)
    return first, stop, degree


class Fit:
    """A least-squares polynomial through the points of a range, as a linear operator.

    The range runs from the last point at or below `low` up to, but not including, the
    point nearest to `high`, as larch counts; it holds at least two points. No degree is
    above `highest`. Only sums over the points are formed; the weights of all points are
    when they are asked for.
    """

    def __init__(
        self,
        energy: Tensor,
        valid: Tensor,
        low: Tensor,
        high: Tensor,
        degree: Tensor,
        highest: int = MAX_DEGREE,
    ) -> None:
        first, stop, degree = _points_of(energy, valid, low, high, degree)
        start, end = gather(energy, first), gather(energy, stop - 1)
        self._centre = 0.5 * (start + end)
        self._half = 0.5 * (end - start).clamp(min=2e-9)
        self._t = (energy - self._centre.unsqueeze(-1)).div_(self._half.unsqueeze(-1))
        position = torch.arange(energy.shape[-1], device=energy.device)
        used = (position >= first.unsqueeze(-1)) & (position < stop.unsqueeze(-1))
        self._powers = [used.to(energy.dtype)]
        for _ in range(highest):
            self._powers.append(self._powers[-1] * self._t)
        sums = [power.sum(-1) for power in self._powers]
        sums += [vecdot(self._powers[-1], power) for power in self._powers[1:]]
        order = torch.arange(highest + 1, device=energy.device)
        normal = torch.stack(sums, -1)[:, order.unsqueeze(-1) + order]
        self._active: Tensor = order <= degree.unsqueeze(-1)
        both = self._active.unsqueeze(-1) & self._active.unsqueeze(-2)
        identity = torch.eye(highest + 1, dtype=energy.dtype, device=energy.device)
        self._inverse: Tensor = torch.linalg.inv(torch.where(both, normal, identity))

    def __call__(self, values: Tensor) -> Tensor:
        """Return the fitted polynomial at every point, `batch x points`."""
        right = torch.stack([vecdot(power, values) for power in self._powers], -1)
        return self._curve(self._solve(right))

    def row(self, index: Tensor) -> Tensor:
        """Return the weights of all points in the fitted value at `index`."""
        t = gather(self._t, index).unsqueeze(-1)
        return self._spread(t ** torch.arange(len(self._powers), device=t.device))

    def weigh(self, weights: Tensor) -> Tensor:
        """Return the weights of all points in a weighted sum over the fitted curve."""
        sums, weighted = list[Tensor](), weights
        for _ in self._powers:
            sums.append(weighted.sum(-1))
            weighted = weighted * self._t
        return self._spread(torch.stack(sums, -1))

    def basis(self) -> Tensor:
        """Return the powers that `weights` are the factors of, `batch x points x n`."""
        exponents = range(len(self._powers))
        return torch.stack([self._t**n for n in exponents], -1)

    def weights(self) -> Tensor:
        """Return the weights of all points in the factors of `basis`, `batch x n x points`.

        Zero for powers above the degree.
        """
        inverse = torch.where(self._active.unsqueeze(-1), self._inverse, 0.0)
        inverse = torch.where(self._active.unsqueeze(-2), inverse, 0.0)
        return inverse @ torch.stack(self._powers, 1)

    def coefficients(self, centre: float, half: float) -> Tensor:
        """Return the weights of all points in the coefficients of ((E - centre) / half)ⁿ.

        `batch x n x points`.
        """
        scale = (half / self._half).unsqueeze(-1)
        shift = ((centre - self._centre) / self._half).unsqueeze(-1)
        wanted = range(len(self._powers))
        zero = torch.zeros_like(scale)
        # (scale·u + shift)ᵏ = Σ C(k, n)·scaleⁿ·shiftᵏ⁻ⁿ·uⁿ
        rows = [
            torch.cat(
                [
                    comb(k, n) * scale**n * shift ** (k - n) if n <= k else zero
                    for k in wanted
                ],
                -1,
            )
            for n in wanted
        ]
        return torch.stack(rows, 1) @ self.weights()

    def _solve(self, right: Tensor) -> Tensor:
        right = torch.where(self._active, right, 0.0).unsqueeze(-1)
        return (self._inverse @ right).squeeze(-1)

    def _curve(self, coefficients: Tensor) -> Tensor:
        *lower, highest = coefficients.unsqueeze(-1).unbind(1)
        result = highest.expand_as(self._t)
        for coefficient in reversed(lower):
            result = result * self._t
            result += coefficient
        return result

    def _spread(self, row: Tensor) -> Tensor:
        return self._curve(self._solve(row)) * self._powers[0]
