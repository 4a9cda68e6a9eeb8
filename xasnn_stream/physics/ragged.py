"""Spectra of different lengths in one rectangular batch, and index rules on it."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def stack(
    arrays: Sequence[NDArray[np.float64]], device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Stack arrays of different lengths; return values and validity, `batch x points`.

    Short rows are continued by their last value; validity says where data end.
    """
    lengths = torch.tensor([len(array) for array in arrays])
    width = int(lengths.max()) if len(arrays) else 0
    values = np.zeros((len(arrays), width))
    for row, array in zip(values, arrays, strict=True):
        row[: len(array)] = array
        row[len(array) :] = array[-1] if len(array) else 0.0
    valid = torch.arange(width).unsqueeze(0) < lengths.unsqueeze(1)
    return torch.from_numpy(values).to(device), valid.to(device)


def widen(rows: Tensor, width: int) -> Tensor:
    """Continue rows to `batch x width`: values by their last, validity by False."""
    more = width - rows.shape[-1]
    if rows.dtype == torch.bool:
        return torch.nn.functional.pad(rows, (0, more))
    return torch.cat((rows, rows[..., -1:].expand(*rows.shape[:-1], more)), -1)


def index_at_or_below(energy: Tensor, valid: Tensor, value: Tensor) -> Tensor:
    """Return the last valid index with energy <= value, 0 if there is none, `batch`."""
    return (_search(energy, valid, value, right=True) - 1).clamp(min=0)


def index_nearest(energy: Tensor, valid: Tensor, value: Tensor) -> Tensor:
    """Return the valid index whose energy is nearest to value, `batch`.

    Of two as near, the lower one.
    """
    last = (valid.sum(-1) - 1).clamp(min=0)
    right = torch.minimum(_search(energy, valid, value, right=False), last)
    left = (right - 1).clamp(min=0)
    below, above = value - gather(energy, left), gather(energy, right) - value
    return torch.where(below.abs() <= above.abs(), left, right)


def _search(energy: Tensor, valid: Tensor, value: Tensor, *, right: bool) -> Tensor:
    """Return how many valid energies are below value, or not above it; 0 for NaN."""
    ascending = energy.masked_fill(~valid, torch.inf)
    wanted = value.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    found = torch.searchsorted(
        ascending, wanted.to(energy.dtype).unsqueeze(-1), right=right
    ).squeeze(-1)
    return torch.minimum(found, valid.sum(-1))


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Take one value per row: `batch x points` at `batch` gives `batch`."""
    return values.gather(-1, index.unsqueeze(-1)).squeeze(-1)


def interpolate(at: Tensor, x: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    """Interpolate linearly row by row; NaN outside the measured range.

    `at` is `batch x wanted`, `x` ascending and `y` `batch x points`.
    """
    left, inside = segment(at, x, valid)
    x0, x1 = x.gather(-1, left), x.gather(-1, left + 1)
    y0, y1 = y.gather(-1, left), y.gather(-1, left + 1)
    result = y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return torch.where(inside, result, torch.nan)


def integrate(at: Tensor, x: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    """Integrate the linear interpolant from the first point to `at`, row by row.

    Shapes as for `interpolate`; NaN outside the measured range.
    """
    left, inside = segment(at, x, valid)
    area = (0.5 * (y[..., 1:] + y[..., :-1]) * x.diff()).cumsum(-1)
    area = torch.cat((torch.zeros_like(y[..., :1]), area), -1)
    x0, x1 = x.gather(-1, left), x.gather(-1, left + 1)
    y0, y1 = y.gather(-1, left), y.gather(-1, left + 1)
    within = at - x0
    rest = within * (y0 + 0.5 * (y1 - y0) * within / (x1 - x0))
    return torch.where(inside, area.gather(-1, left) + rest, torch.nan)


def segment(at: Tensor, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index left of each wanted value, and whether data lie on both sides.

    `at` is `batch x wanted`, `x` ascending, `batch x points`; both results are `batch x
    wanted`. Beyond the data the index is that of the first or the last but one.
    """
    last = (valid.sum(-1, keepdim=True) - 1).clamp(min=0)
    ascending = x.masked_fill(~valid, torch.inf).contiguous()
    right = torch.searchsorted(ascending, at.contiguous(), right=True)
    left = torch.minimum(right.clamp(min=1), last.clamp(min=1)) - 1
    inside = (at >= x[..., :1]) & (at <= x.gather(-1, last))
    return left, inside
