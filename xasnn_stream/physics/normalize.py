"""Pre-edge subtraction, normalization and flattening, batched.

The formulas and automatic ranges are those of larch's `pre_edge` (M. Newville, J.
Phys.: Conf. Ser. 430, 012007 (2013)): a line through μ(E)·E^nvict below the edge, a
polynomial through μ minus that line above it; the edge step is their distance at e0,
and flattening removes the polynomial's curvature above e0.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.edge import find_e0
from xasnn_stream.physics.ragged import gather, index_at_or_below, index_nearest
from xasnn_stream.physics.settings import Normalization

_MAX_DEGREE = 3
_TINY_STEP = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Normalized:
    """Normalized spectra; curves are `batch x points`, the rest `batch`.

    `edge_step` keeps its sign: an inverted spectrum has a negative step.
    `edge_step_per_mu` (`batch x points`) is ∂(edge step)/∂μ, for propagating noise.
    """

    e0: Tensor
    edge_step: Tensor
    norm: Tensor
    flat: Tensor
    pre_edge: Tensor
    post_edge: Tensor
    pre1: Tensor
    pre2: Tensor
    norm1: Tensor
    norm2: Tensor
    nnorm: Tensor
    edge_step_per_mu: Tensor


def normalize(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    settings: Normalization,
    e0: Tensor | None = None,
    limits: tuple[Tensor, Tensor] | None = None,
) -> Normalized:
    """Normalize spectra with larch's parameters.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`; energies in eV, strictly ascending; `valid` a prefix of a row.
    settings
        Ranges relative to e0 and degrees; None means larch's automatic choice.
    e0
        Edge energies `batch`; taken from `settings.e0` or found where not given.
    limits
        Lowest and highest energy to fit, eV relative to e0, each `batch`: a sample and
        its foil must be normalized over the same range.
    """
    if e0 is None:
        fixed = settings.e0
        found = find_e0(energy, mu, valid) if fixed is None else fixed
        e0 = torch.as_tensor(found, dtype=mu.dtype, device=mu.device)
        e0 = e0.expand(mu.shape[0])
    if limits is None:
        end = energy.masked_fill(~valid, -torch.inf).amax(-1)
        limits = (energy[:, 0] - e0, end - e0)
    at_e0 = index_nearest(energy, valid, e0)
    pre1, pre2 = _pre_edge_range(energy, e0, at_e0, settings, limits[0])
    norm1, norm2, degree = _post_edge_range(e0, settings, limits[1])

    flatness = _line_degree(energy, valid, e0, pre1, pre2)
    line = _Fit(energy, valid, e0 + pre1, e0 + pre2, flatness)
    power = (energy / e0.unsqueeze(-1)) ** settings.nvict
    pre_edge = line(mu * power) / power
    curve = _Fit(energy, valid, e0 + norm1, e0 + norm2, degree)
    above = curve(mu - pre_edge)

    edge_step = gather(above, at_e0)
    scale = edge_step.unsqueeze(-1)
    scale = torch.where(scale.abs() < _TINY_STEP, _TINY_STEP, scale)
    norm = (mu - pre_edge) / scale
    behind = torch.arange(energy.shape[-1], device=energy.device) >= at_e0.unsqueeze(-1)
    flat = torch.where(behind, norm - above / scale + 1.0, norm)
    at_step = curve.row(at_e0)
    per_mu = at_step - line.weigh(at_step / power) * power
    return Normalized(
        e0, edge_step, norm, flat, pre_edge, pre_edge + above,
        pre1, pre2, norm1, norm2, degree, per_mu,
    )  # fmt: skip


def _pre_edge_range(
    energy: Tensor, e0: Tensor, at_e0: Tensor, settings: Normalization, start: Tensor
) -> tuple[Tensor, Tensor]:
    second = energy[:, 1] - e0
    automatic = torch.where(
        at_e0 > 20, 5.0 * (second / 5.0).round(), 2.0 * (second / 2.0).round()
    )
    pre1 = automatic if settings.pre1 is None else torch.full_like(e0, settings.pre1)
    pre1 = torch.maximum(pre1, start)
    pre2 = 0.5 * pre1 if settings.pre2 is None else torch.full_like(e0, settings.pre2)
    return torch.minimum(pre1, pre2), torch.maximum(pre1, pre2)


def _post_edge_range(
    e0: Tensor, settings: Normalization, end: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    norm2 = 5.0 * (end / 5.0).round()
    if settings.norm2 is not None:
        norm2 = torch.full_like(e0, settings.norm2)
        norm2 = torch.where(norm2 < 0, end - norm2, norm2)
    norm2 = torch.minimum(norm2, end)
    norm1 = (5.0 * (norm2 / 15.0).round()).clamp(max=25.0)
    if settings.norm1 is not None:
        norm1 = torch.full_like(e0, settings.norm1)
    norm1, norm2 = torch.minimum(norm1, norm2), torch.maximum(norm1, norm2)
    norm1 = torch.minimum(norm1, norm2 - 2)
    span = norm2 - norm1
    degree = torch.where(span < 30, 0, torch.where(span < 300, 1, 2))
    if settings.nnorm is not None:
        degree = torch.full_like(degree, min(settings.nnorm, _MAX_DEGREE))
    return norm1, norm2, degree


def _line_degree(
    energy: Tensor, valid: Tensor, e0: Tensor, pre1: Tensor, pre2: Tensor
) -> Tensor:
    """Return the degree: one, or zero where the range holds fewer than three points."""
    relative = energy - e0.unsqueeze(-1)
    points = index_at_or_below(relative, valid, pre2) - index_at_or_below(
        relative, valid, pre1
    )
    return torch.where(points < 3, 0, 1)


class _Fit:
    """A least-squares polynomial through the points of a range, as a linear operator.

    The range runs from the last point at or below `low` up to, but not including, the
    point nearest to `high`, as larch counts; it holds at least two points.
    """

    def __init__(
        self, energy: Tensor, valid: Tensor, low: Tensor, high: Tensor, degree: Tensor
    ) -> None:
        first = index_at_or_below(energy, valid, low)
        stop = index_nearest(energy, valid, high)
        count = valid.sum(-1)
        first = torch.minimum(first, (count - 3).clamp(min=0))
        short = stop - first < 2
        first = torch.where(short, (first - 2).clamp(min=0), first)
        stop = torch.maximum(stop, first + 2).minimum(count)
        degree = torch.where(short, 0, degree)
        degree = torch.where(stop - first < 5, degree.clamp(max=1), degree)
        position = torch.arange(energy.shape[-1], device=energy.device)
        used = (position >= first.unsqueeze(-1)) & (position < stop.unsqueeze(-1))
        centre = 0.5 * (gather(energy, first) + gather(energy, stop - 1))
        half = 0.5 * (gather(energy, stop - 1) - gather(energy, first))
        t = (energy - centre.unsqueeze(-1)) / half.clamp(min=1e-9).unsqueeze(-1)
        powers = torch.arange(_MAX_DEGREE + 1, device=energy.device)
        active = powers <= degree.unsqueeze(-1)
        basis = t.unsqueeze(-1) ** powers * active.unsqueeze(-2)
        design = basis * used.unsqueeze(-1)
        normal = design.transpose(-1, -2) @ design
        normal = normal + torch.diag_embed((~active).to(energy.dtype))
        self._basis = basis
        self._solve = torch.linalg.solve(normal, design.transpose(-1, -2))

    def __call__(self, values: Tensor) -> Tensor:
        """Return the fitted polynomial at every point, `batch x points`."""
        coefficients = self._solve @ values.unsqueeze(-1)
        return (self._basis @ coefficients).squeeze(-1)

    def row(self, index: Tensor) -> Tensor:
        """Return the weights of all points in the fitted value at `index`."""
        at = self._basis.gather(
            1, index.reshape(-1, 1, 1).expand(-1, 1, self._basis.shape[-1])
        )
        return (at @ self._solve).squeeze(1)

    def weigh(self, weights: Tensor) -> Tensor:
        """Return the weights of all points in a weighted sum over the fitted curve."""
        return ((weights.unsqueeze(1) @ self._basis) @ self._solve).squeeze(1)
