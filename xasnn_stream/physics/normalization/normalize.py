"""Pre-edge subtraction, normalization and flattening, batched.

The formulas and automatic ranges are those of larch's `pre_edge` (M. Newville, J.
Phys.: Conf. Ser. 430, 012007 (2013)): a line through μ(E)·E^nvict below the edge, a
polynomial through μ minus that line above it; the edge step is their distance at e0,
and flattening removes the polynomial's curvature above e0.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xasnn_stream.physics.grid import Grid, grid_of
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.lines import (
    GridLines,
    basis,
    fit_lines,
    grid_lines,
    places_of,
)
from xasnn_stream.physics.ragged import gather
from xasnn_stream.physics.settings import Normalization

_TINY_STEP = 1e-12
_MANY = 32
"""Different edges and limits in a batch beyond which a matrix for each is not worth it."""
_OF_MU = ("edge_step", "norm", "flat", "pre_edge", "post_edge", "edge_step_per_mu")
"""Results that have the type of μ."""


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
    valid: Tensor | None,
    settings: Normalization,
    e0: Tensor | None = None,
    limits: tuple[Tensor, Tensor] | None = None,
) -> Normalized:
    """Normalize spectra with larch's parameters.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`; energies in eV, strictly ascending; `valid` a prefix of a row.
        Or one grid for all spectra, `(points,)`, and `valid` None.
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
        e0 = torch.as_tensor(found, dtype=energy.dtype, device=mu.device)
        e0 = e0.expand(mu.shape[0])
    if energy.dim() == 1:
        return _on_grid(grid_of(energy), mu, settings, e0, limits)
    if valid is None:
        valid = torch.ones_like(mu, dtype=torch.bool)
    if mu.dtype == energy.dtype:
        return _on_rows(energy, mu, valid, settings, e0, limits)
    result = _on_rows(energy, mu.to(energy.dtype), valid, settings, e0, limits)
    curves = {name: getattr(result, name).to(mu.dtype) for name in _OF_MU}
    return replace(result, **curves)


def _on_rows(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    settings: Normalization,
    e0: Tensor,
    limits: tuple[Tensor, Tensor] | None,
) -> Normalized:
    lines = fit_lines(energy, valid, settings, e0, limits)
    pre_edge = lines.line(mu * lines.power) / lines.power
    above = lines.curve(mu - pre_edge)
    edge_step = gather(above, lines.at_e0)
    scale = _nonzero(edge_step).unsqueeze(-1)
    norm = (mu - pre_edge) / scale
    index = torch.arange(energy.shape[-1], device=energy.device)
    behind = index >= lines.at_e0.unsqueeze(-1)
    flat = torch.where(behind, norm - above / scale + 1.0, norm)
    return Normalized(
        e0, edge_step, norm, flat, pre_edge, pre_edge + above,
        *lines.ranges, lines.per_mu(),
    )  # fmt: skip


def _nonzero(edge_step: Tensor) -> Tensor:
    """Return steps to divide by: none is zero."""
    return torch.where(edge_step.abs() < _TINY_STEP, _TINY_STEP, edge_step)


def _on_grid(
    grid: Grid,
    mu: Tensor,
    settings: Normalization,
    e0: Tensor,
    limits: tuple[Tensor, Tensor] | None,
) -> Normalized:
    """Normalize where all spectra have one grid: coefficients are a matrix times μ.

    Where gradients are wanted it is done row by row: results written in place have none.
    """
    alike = limits is None and bool((e0 == e0[:1]).all())
    places = places_of(e0[:1] if alike else e0, limits)
    different = {place: number for number, place in enumerate(dict.fromkeys(places))}
    if len(different) > _MANY or mu.requires_grad:
        energy, valid = grid.rows(len(mu))
        return normalize(energy, mu, valid, settings, e0, limits)
    plans = [grid_lines(grid, settings, *place, mu.dtype) for place in different]
    if len(plans) == 1:
        which, coefficients = None, mu @ plans[0].weights.T
    else:
        which = torch.tensor([different[place] for place in places], device=mu.device)
        coefficients = mu.new_empty(len(mu), len(plans[0].weights))
        for number, plan in enumerate(plans):
            of = (which == number).nonzero().squeeze(-1)
            coefficients[of] = mu[of] @ plan.weights.T
    rows = basis(grid, settings.nvict, mu.dtype)
    return _curves(rows, mu, e0, coefficients, plans, which)


def _curves(
    rows: Tensor,
    mu: Tensor,
    e0: Tensor,
    coefficients: Tensor,
    plans: list[GridLines],
    which: Tensor | None,
) -> Normalized:
    """Return what the coefficients (`batch x 6`) of the rows (`6 x points`) say."""
    at_edge = _of_plans([plan.at_edge for plan in plans], which, len(mu))
    above = coefficients[:, 2:]
    edge_step = (above * at_edge).sum(-1)
    scale = _nonzero(edge_step).unsqueeze(-1)
    # One block: what it takes of memory is kept for the next batch, not given back.
    norm, flat, pre_edge, post_edge = mu.new_empty(4, *mu.shape)
    torch.mm(coefficients[:, :2], rows[:2], out=pre_edge)
    torch.mm(coefficients, rows, out=post_edge)
    torch.sub(mu, pre_edge, out=norm).div_(scale)
    excess = above / scale
    excess[:, 0] -= 1.0
    first, last = min(p.at_e0 for p in plans), max(p.at_e0 for p in plans)
    flat[:, :first] = norm[:, :first]
    torch.addmm(
        norm[:, first:], excess, rows[2:, first:], alpha=-1, out=flat[:, first:]
    )
    if which is not None:
        at_e0 = torch.tensor([plan.at_e0 for plan in plans], device=mu.device)[which]
        before = torch.arange(first, last, device=mu.device) < at_e0.unsqueeze(-1)
        both = norm[:, first:last], flat[:, first:last]
        flat[:, first:last] = torch.where(before, *both)
    ranges = _of_plans([plan.ranges for plan in plans], which, len(mu))
    pre1, pre2, norm1, norm2, nnorm = ranges.unbind(-1)
    return Normalized(
        e0, edge_step, norm, flat, pre_edge, post_edge,
        pre1, pre2, norm1, norm2, nnorm.long(),
        _of_plans([plan.per_mu for plan in plans], which, len(mu)),
    )  # fmt: skip


def _of_plans(values: list[Tensor], which: Tensor | None, batch: int) -> Tensor:
    """Return each spectrum's row of values, not copied where all have the same."""
    if which is None:
        return values[0].expand(batch, -1)
    return torch.stack(values).index_select(0, which)
