"""Removing the smooth background under χ(k), batched: larch's `autobk`.

Below `rbkg` a spline takes all that χ(R) has (M. Newville et al., Physica B 208 & 209,
154 (1995)); how it is found stands in `background_fit`.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.background_fit import (
    BASE_WEIGHT,
    Knots,
    clamps_of,
    coefficients,
    components_of,
    place_knots,
    reweight,
    solve_base,
)
from xasnn_stream.physics.settings import Background
from xasnn_stream.physics.spline import basis, evaluate, second_derivatives, segments

_ROWS_AT_ONCE = 64


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
        row.
    e0, edge_step
        `batch`; e0 in eV. χ is (μ - μ₀)/edge_step, and whatever the units of μ the same:
        larch's, whose weight of the clamps depends on these units, of μ/edge_step.
    settings
        Parameters, larch's names and defaults.
    kmax
        Upper limits of k beside `settings.kmax`, `batch`, such as the next edge's; NaN
        or zero for none.
    """
    if valid is None:
        valid = torch.ones_like(mu, dtype=torch.bool)
        energy = energy.expand(mu.shape)
    return _ragged(energy, mu, valid, e0, edge_step, settings, kmax)


def _ragged(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    e0: Tensor,
    edge_step: Tensor,
    settings: Background,
    kmax: Tensor | None,
) -> BackgroundRemoved:
    parts = []
    for start in range(0, len(mu), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        parts.append(
            _rows(
                energy[rows], mu[rows], valid[rows], e0[rows], edge_step[rows],
                settings, None if kmax is None else kmax[rows],
            )
        )  # fmt: skip
    return parts[0] if len(parts) == 1 else _join(parts)


def _join(parts: list[BackgroundRemoved]) -> BackgroundRemoved:
    longest = max((part.k for part in parts), key=len)

    def joined(name: str) -> Tensor:
        rows: list[Tensor] = [getattr(part, name) for part in parts]
        width = len(longest)
        return torch.cat([
            torch.nn.functional.pad(row, (0, width - row.shape[-1])) for row in rows
        ])  # fmt: skip

    return BackgroundRemoved(
        longest, joined("chi"), joined("reached"),
        torch.cat([part.kmax for part in parts]), torch.cat([part.bkg for part in parts]),
    )  # fmt: skip


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
    values = mu.to(energy).gather(-1, index)
    # A spline through constants is constant: taking μ(e0) away only saves digits.
    offset, step = values[:, :1], edge_step.to(energy).unsqueeze(-1)
    values = torch.where(knots.inside, (values - offset) / step, 0.0)
    second = second_derivatives(knots.k, values, knots.inside)
    on_grid = evaluate(segments(knots.grid, knots.k, knots.inside), values, second)
    chi, found = _fitted(on_grid, knots, settings)
    reached = torch.arange(len(knots.grid), device=mu.device) < knots.points.unsqueeze(
        -1
    )
    reached = reached & knots.usable.unsqueeze(-1)
    chi = torch.where(reached, chi, 0.0)
    chi = chi.masked_fill(~knots.usable.unsqueeze(-1), torch.nan)
    smooth = basis(knots.k, knots.knots, knots.functions) @ found.unsqueeze(-1)
    smooth = (smooth.squeeze(-1) * step + offset).to(mu.dtype)
    inside = knots.inside & knots.usable.unsqueeze(-1)
    bkg = mu.scatter(-1, index, torch.where(inside, smooth, mu.gather(-1, index)))
    reach = knots.kmax.masked_fill(~knots.usable, torch.nan)
    return BackgroundRemoved(knots.grid, chi.to(mu.dtype), reached, reach, bkg)


def _fitted(
    on_grid: Tensor, knots: Knots, settings: Background
) -> tuple[Tensor, Tensor]:
    """Return χ and the coefficients of (μ₀ - μ(e0))/edge step."""
    fit = solve_base(knots, settings)
    column = on_grid.unsqueeze(-1)
    components = components_of(column, knots, settings)
    clamped = clamps_of(column, knots, settings)
    found = coefficients(fit, torch.cat((components, BASE_WEIGHT * clamped), 1))
    left = components - fit.system[:, : components.shape[1]] @ found
    clamped = clamps_of(column - fit.functions @ found, knots, settings)
    rotated = (fit.rotation.mT @ clamped).squeeze(-1)
    size = left.square().sum((1, 2))
    move = reweight(rotated, size, 2 * knots.components, fit.spread)
    found = found + fit.step @ move.unsqueeze(-1)
    return (column - fit.functions @ found).squeeze(-1), found.squeeze(-1)
