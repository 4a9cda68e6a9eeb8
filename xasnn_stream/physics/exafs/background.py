"""Removing the smooth background under χ(k), batched: larch's `autobk`.

Below `rbkg` a spline takes all that χ(R) has (M. Newville et al., Physica B 208 & 209,
154 (1995)); how it is found stands in `background_fit`.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from xasnn_stream.physics.exafs.background_fit import (
    BASE_WEIGHT,
    Knots,
    clamps_of,
    coefficients,
    components_of,
    place_knots,
    reweight,
    solve_base,
)
from xasnn_stream.physics.exafs.background_operators import (
    Operator,
    OperatorCache,
)
from xasnn_stream.physics.exafs.spline import (
    basis,
    evaluate,
    second_derivatives,
    segments,
)
from xasnn_stream.physics.exafs.wavenumber import uniform_grid
from xasnn_stream.physics.settings import Background

_ROWS_AT_ONCE = 128
_OPERATORS = OperatorCache()


@dataclass(frozen=True, slots=True, eq=False)
class BackgroundRemoved:
    """χ(k) of a batch; curves are `batch x nk` unless said otherwise.

    `k` (`nk`) is the grid from zero for all rows. `reached` is False beyond a row's own
    `kmax` (`batch`, 1/angstrom), where χ is zero. `bkg` (`batch x points`) is μ₀ in the
    units of μ, equal to μ below e0 and beyond kmax. A row whose scan is too short for
    its knots, or without e0, has χ and kmax NaN and reaches nothing.
    """

    k: Tensor
    chi: Tensor
    reached: Tensor
    kmax: Tensor
    bkg: Tensor


def autobk(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor | None,
    e0: Tensor,
    edge_step: Tensor,
    settings: Background,
    kmax: Tensor | None = None,
) -> BackgroundRemoved:
    """Remove the background of μ(E) and return χ(k), with larch's parameters.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`, energies in eV and strictly ascending, `valid` a prefix of each
        row; or one grid for all, `(points,)`, and `valid` None.
    e0, edge_step
        `batch`; e0 in eV. χ is (μ - μ₀)/edge_step, and whatever the units of μ the same:
        larch's, whose weight of the clamps depends on these units, of μ/edge_step.
    settings
        Parameters, larch's names and defaults.
    kmax
        Upper limits of k beside `settings.kmax`, `batch`, such as the next edge's; NaN
        or zero for none.
    """
    if energy.dim() == 1:
        return _on_grid(energy, mu, e0, edge_step, settings, kmax)
    if valid is None:
        valid = torch.ones_like(mu, dtype=torch.bool)
    parts = []
    for start in range(0, len(mu), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        limit = None if kmax is None else kmax[rows]
        step = edge_step[rows]
        parts.append(_rows(
            energy[rows], mu[rows], valid[rows], e0[rows], step, settings, limit
        ))  # fmt: skip
    return parts[0] if len(parts) == 1 else _joined(parts)


def _on_grid(
    energy: Tensor,
    mu: Tensor,
    e0: Tensor,
    edge_step: Tensor,
    settings: Background,
    kmax: Tensor | None,
) -> BackgroundRemoved:
    """Treat rows of one e0 by its matrices, and rows for which there are none singly."""
    known: list[tuple[Operator, list[int]]] = []
    single: list[int] = []
    for (at, limit), rows in _alike(e0, kmax).items():
        operator = _OPERATORS.get(energy, at, settings, limit, len(rows), mu.dtype)
        if operator is None:
            single += rows
        else:
            known.append((operator, rows))
    parts = _by_operators(mu, edge_step.to(mu.dtype), settings, known)
    single.sort()
    if single:
        rows = torch.tensor(single, device=mu.device)
        every = torch.ones_like(mu[rows], dtype=torch.bool)
        limits = None if kmax is None else kmax[rows]
        parts.append(autobk(
            energy.expand(len(rows), -1), mu[rows], every, e0[rows], edge_step[rows],
            settings, limits,
        ))  # fmt: skip
    if len(parts) == 1:
        return parts[0]
    order = torch.tensor([row for _, rows in known for row in rows] + single)
    return _reordered(_joined(parts), order.argsort().to(mu.device))


def _alike(
    e0: Tensor, kmax: Tensor | None
) -> dict[tuple[float, float | None], list[int]]:
    """Return the rows of each e0 and limit; None for no limit."""
    limits = [math.nan] * len(e0) if kmax is None else kmax.tolist()
    groups: dict[tuple[float, float | None], list[int]] = {}
    for row, (at, limit) in enumerate(zip(e0.tolist(), limits, strict=True)):
        groups.setdefault((at, limit if limit > 0 else None), []).append(row)
    return groups


def _by_operators(
    mu: Tensor,
    edge_step: Tensor,
    settings: Background,
    known: list[tuple[Operator, list[int]]],
) -> list[BackgroundRemoved]:
    if not known:
        return []
    whole = len(known) == 1 and len(known[0][1]) == len(mu)
    chosen = [
        slice(None) if whole else torch.tensor(rows, device=mu.device)
        for _, rows in known
    ]
    curves = [(mu[rows], edge_step[rows]) for rows in chosen]
    bases = [
        operator.at_base(*of) for (operator, _), of in zip(known, curves, strict=True)
    ]
    counts = [len(rows) for _, rows in known]
    moves = reweight(
        torch.cat([base.clamped for base in bases]),
        torch.cat([base.size for base in bases]),
        torch.cat([base.size.new_full(base.size.shape, each.components)
                   for (each, _), base in zip(known, bases, strict=True)]),
        torch.cat([each.spread.expand(len(rows), -1) for each, rows in known]),
    ).split(counts)  # fmt: skip
    parts = []
    for (operator, _), base, of, move in zip(known, bases, curves, moves, strict=True):
        chi, bkg = operator.moved(base, move, *of)
        reaches = not math.isnan(operator.kmax)
        parts.append(BackgroundRemoved(
            uniform_grid(chi.shape[-1], settings.kstep, mu.device), chi,
            torch.full_like(chi, reaches, dtype=torch.bool),
            torch.full_like(chi[:, 0], operator.kmax, dtype=torch.float64), bkg,
        ))  # fmt: skip
    return parts


def _reordered(found: BackgroundRemoved, rows: Tensor) -> BackgroundRemoved:
    return BackgroundRemoved(
        found.k, found.chi[rows], found.reached[rows], found.kmax[rows], found.bkg[rows]
    )


def _joined(parts: list[BackgroundRemoved]) -> BackgroundRemoved:
    longest = max((part.k for part in parts), key=len)

    def rows(curves: list[Tensor]) -> Tensor:
        return torch.cat(
            [pad(each, (0, len(longest) - each.shape[-1])) for each in curves]
        )

    return BackgroundRemoved(
        longest,
        rows([part.chi for part in parts]),
        rows([part.reached for part in parts]),
        torch.cat([part.kmax for part in parts]),
        torch.cat([part.bkg for part in parts]),
    )


def _rows(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    e0: Tensor,
    edge_step: Tensor,
    settings: Background,
    kmax: Tensor | None,
) -> BackgroundRemoved:
    knots = place_knots(energy, valid, e0.to(energy), settings, kmax)
    above = torch.arange(knots.k.shape[-1], device=mu.device)
    index = (knots.first.unsqueeze(-1) + above).clamp(max=mu.shape[-1] - 1)
    measured = mu.gather(-1, index)
    # A spline through constants is constant: taking μ(e0) away only saves digits.
    offset, step = measured[:, :1].to(energy), edge_step.to(energy).unsqueeze(-1)
    values = torch.where(knots.inside, (measured.to(energy) - offset) / step, 0.0)
    second = second_derivatives(knots.k, values, knots.inside)
    on_grid = evaluate(segments(knots.grid, knots.k, knots.inside), values, second)
    chi, found = _fitted(on_grid, knots, settings)
    usable = knots.usable.unsqueeze(-1)
    reached = torch.arange(len(knots.grid), device=mu.device) < knots.points.unsqueeze(
        -1
    )
    reached = reached & usable
    chi = torch.where(reached, chi, 0.0).masked_fill(~usable, torch.nan)
    smooth = basis(knots.k, knots.knots, knots.functions).combine(found)
    smooth = (smooth * step + offset).to(mu.dtype)
    bkg = _put_back(mu, smooth, knots.inside & usable, knots.first)
    reach = knots.kmax.masked_fill(~knots.usable, torch.nan)
    return BackgroundRemoved(knots.grid, chi.to(mu.dtype), reached, reach, bkg)


def _put_back(mu: Tensor, smooth: Tensor, inside: Tensor, first: Tensor) -> Tensor:
    """Return μ with the points from `first` on replaced where `inside`."""
    place = torch.arange(mu.shape[-1], device=mu.device) - first.unsqueeze(-1)
    known = (place >= 0) & (place < smooth.shape[-1])
    place = place.clamp(min=0, max=smooth.shape[-1] - 1)
    known = known & inside.gather(-1, place)
    return torch.where(known, smooth.gather(-1, place), mu)


def _fitted(
    on_grid: Tensor, knots: Knots, settings: Background
) -> tuple[Tensor, Tensor]:
    """Return χ and the coefficients of (μ₀ - μ(e0))/edge step."""
    fit = solve_base(knots, settings)
    column = on_grid.unsqueeze(-1)
    components = components_of(column, knots, settings)
    clamped = clamps_of(column, knots, settings)
    found = coefficients(fit, torch.cat((components, BASE_WEIGHT * clamped), 1))
    chi = on_grid - fit.functions.combine(found.squeeze(-1))
    left = components - fit.system[:, : components.shape[1]] @ found
    clamped = clamps_of(chi.unsqueeze(-1), knots, settings)
    rotated = (fit.rotation.mT @ clamped).squeeze(-1)
    size = left.square().sum((1, 2))
    move = reweight(rotated, size, 2 * knots.components, fit.spread)
    found = (found + fit.step @ move.unsqueeze(-1)).squeeze(-1)
    return on_grid - fit.functions.combine(found), found
