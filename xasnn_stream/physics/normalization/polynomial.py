"""Polynomials through the points of a range, as linear operators."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from math import comb

import torch
from torch import Tensor

from xasnn_stream.physics.ragged import gather, index_at_or_below, index_nearest

MAX_DEGREE = 3


def points_of(
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
    point nearest to `high`, as larch counts; it holds at least two points. The fitted
    curve is `basis` (`batch x points x 4`) times `weights` (`batch x 4 x points`) times
    the values.
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
        first, stop, degree = points_of(energy, valid, low, high, degree)
        position = torch.arange(energy.shape[-1], device=energy.device)
        used = (position >= first.unsqueeze(-1)) & (position < stop.unsqueeze(-1))
        centre = 0.5 * (gather(energy, first) + gather(energy, stop - 1))
        half = 0.5 * (gather(energy, stop - 1) - gather(energy, first)).clamp(min=1e-9)
        t = (energy - centre.unsqueeze(-1)) / half.unsqueeze(-1)
        powers = torch.arange(MAX_DEGREE + 1, device=energy.device)
        active = powers <= degree.unsqueeze(-1)
        basis = _powers(t, highest).mul_(active.unsqueeze(-2))
        design = basis * used.unsqueeze(-1)
        normal = design.transpose(-1, -2) @ design
        normal = normal + torch.diag_embed((~active).to(energy.dtype))
        self._centre, self._half = centre, half
        self.basis: Tensor = basis
        self.weights: Tensor = torch.linalg.solve(normal, design.transpose(-1, -2))

    def __call__(self, values: Tensor) -> Tensor:
        """Return the fitted polynomial at every point, `batch x points`."""
        coefficients = self.weights @ values.unsqueeze(-1)
        return (self.basis @ coefficients).squeeze(-1)

    def row(self, index: Tensor) -> Tensor:
        """Return the weights of all points in the fitted value at `index`."""
        at = self.basis.gather(
            1, index.reshape(-1, 1, 1).expand(-1, 1, self.basis.shape[-1])
        )
        return (at @ self.weights).squeeze(1)

    def weigh(self, weights: Tensor) -> Tensor:
        """Return the weights of all points in a weighted sum over the fitted curve."""
        return ((weights.unsqueeze(1) @ self.basis) @ self.weights).squeeze(1)

    def coefficients(self, centre: float, half: float) -> Tensor:
        """Return the weights of all points in the coefficients of ((E - centre) / half)ⁿ.

        `batch x 4 x points`, n from 0 to 3.
        """
        scale = (half / self._half).unsqueeze(-1)
        shift = ((centre - self._centre) / self._half).unsqueeze(-1)
        wanted = range(MAX_DEGREE + 1)
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
        return torch.stack(rows, 1) @ self.weights


def _powers(t: Tensor, highest: int) -> Tensor:
    """Return t⁰ to t³, `batch x points x 4`, zeros beyond the highest wanted."""
    basis = t.new_zeros(*t.shape, MAX_DEGREE + 1)
    basis[..., 0] = 1.0
    basis[..., 1] = t
    if highest > 1:
        exponents = torch.tensor([2, 3 if highest > 2 else 0], device=t.device)
        basis[..., 2:] = t.unsqueeze(-1) ** exponents
    return basis
