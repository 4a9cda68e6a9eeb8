"""How much the edge step depends on where its lines are fitted: a systematic error.

Nobody can say that a pre-edge line is rightly fitted from -150 eV and not from -110 eV.
The step is therefore computed for admissible variants of the given ranges, and its
spread over them is what the choice leaves open. The choices below and above the edge are
independent: their variances add.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from xasnn_stream.physics.grid import Grid, grid_of
from xasnn_stream.physics.normalization.lines import (
    curve_above,
    fit_lines,
    line_below,
    places_of,
)
from xasnn_stream.physics.normalization.polynomial import MAX_DEGREE
from xasnn_stream.physics.settings import Normalization

BELOW = ((1.0, 1.0), (0.75, 1.0), (1.0, 0.7), (1.0, 1.3))
"""Variants of pre1 and pre2, as factors."""
ABOVE = (
    (1.0, 1.0, 0),
    (2.0, 1.0, 0),
    (4.0, 1.0, 0),
    (1.0, 0.8, 0),
    (2.0, 0.8, 0),
    (1.0, 1.0, 1),
)
"""Variants of norm1 and norm2, as factors, and of nnorm, as a difference."""

_LEAST_PRE_EV, _LEAST_PRE_POINTS = 10.0, 4
"""Of a pre-edge range that still makes a line."""
_LEAST_POST_EV, _LEAST_EV_PER_DEGREE = 20.0, 40.0
"""Of a post-edge range: a narrower one follows the waves."""


def step_spread(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor | None,
    settings: Normalization,
    e0: Tensor,
    limits: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return the standard deviation of the edge step over admissible ranges, `batch`.

    Relative to the step of the given ranges; arguments as for `normalize`. Variants that
    leave the data or are too narrow do not count; NaN where none is left below or above.
    """
    if energy.dim() == 1:
        weights, admissible = _by_row(grid_of(energy), mu, settings, e0, limits)
    else:
        if valid is None:
            valid = torch.ones_like(mu, dtype=torch.bool)
        weights, admissible = _variants(energy, valid, settings, e0, limits)
    values = mu.to(weights.dtype).unsqueeze(-1)
    steps = (weights @ values).squeeze(-1)
    below, above = slice(0, len(BELOW)), slice(len(BELOW), None)
    variance = sum(
        (_variance(steps[:, side], admissible[:, side]) for side in (below, above)),
        start=torch.zeros_like(steps[:, 0]),
    )
    return (variance.sqrt() / steps[:, 0].abs()).to(mu.dtype)


def _variance(steps: Tensor, admissible: Tensor) -> Tensor:
    """Return the unbiased variance of the admissible steps, NaN of fewer than two."""
    count = admissible.sum(-1)
    total = torch.where(admissible, steps, 0.0).sum(-1)
    apart = steps - (total / count).unsqueeze(-1)
    squares = torch.where(admissible, apart.square(), 0.0).sum(-1)
    return torch.where(count > 1, squares / (count - 1), torch.nan)


def _variants(
    energy: Tensor,
    valid: Tensor,
    settings: Normalization,
    e0: Tensor,
    limits: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """Return weights of μ in every variant's step, and which variants are admissible.

    `batch x variants x points` and `batch x variants`; `BELOW` first, then `ABOVE`.
    """
    given = fit_lines(energy, valid, settings, e0, limits)
    pre1, pre2, norm1, norm2, degree = given.ranges
    start, end = energy[:, 0] - e0, energy.masked_fill(~valid, -torch.inf).amax(-1) - e0
    if limits is not None:
        start, end = torch.maximum(start, limits[0]), torch.minimum(end, limits[1])
    relative = (energy - e0.unsqueeze(-1)).masked_fill(~valid, torch.inf)
    weights, admissible = list[Tensor](), list[Tensor]()
    for first, last in BELOW:
        low, high = pre1 * first, pre2 * last
        line = line_below(energy, valid, e0, low, high)
        weights.append(replace(given, line=line).per_mu())
        within = (relative >= low.unsqueeze(-1)) & (relative <= high.unsqueeze(-1))
        wide = (high - low >= _LEAST_PRE_EV) & (within.sum(-1) >= _LEAST_PRE_POINTS)
        admissible.append(wide & (low >= start - 1.0))
    for first, last, more in ABOVE:
        low, high = norm1 * first, norm2 * last
        bend = (degree + more).clamp(max=MAX_DEGREE)
        curve = curve_above(energy, valid, e0, low, high, bend)
        weights.append(replace(given, curve=curve).per_mu())
        least = (bend * _LEAST_EV_PER_DEGREE).clamp(min=_LEAST_POST_EV)
        admissible.append((high - low >= least) & (high <= end + 1.0))
    return torch.stack(weights, 1), torch.stack(admissible, 1)


def _by_row(
    grid: Grid,
    mu: Tensor,
    settings: Normalization,
    e0: Tensor,
    limits: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """Return what `_variants` does, of rows that share a grid and few places of e0."""
    places = places_of(e0, limits)
    different = {place: number for number, place in enumerate(dict.fromkeys(places))}
    which = torch.tensor([different[place] for place in places], device=mu.device)
    found = [_on_grid(grid, settings, *place) for place in different]
    weights = torch.stack([weights for weights, _ in found])
    admissible = torch.stack([admissible for _, admissible in found])
    return weights[which].to(mu.dtype), admissible[which]


@lru_cache(maxsize=64)
def _on_grid(
    grid: Grid, settings: Normalization, e0: float, limits: tuple[float, float] | None
) -> tuple[Tensor, Tensor]:
    energy, valid = grid.rows(1)
    bounds = limits and (energy.new_tensor(limits[:1]), energy.new_tensor(limits[1:]))
    at = energy.new_tensor([e0])
    weights, admissible = _variants(energy, valid, settings, at, bounds)
    return weights[0], admissible[0]
