"""Windows of Fourier transforms, with the ramps of larch's `ftwindow`.

A window rises around `xmin` over `dx` and falls around `xmax` over `dx2`; the ends of
both ramps are points of the grid, found by larch's index rules.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.errors import UsageError
from xasnn_stream.physics.settings import WINDOWS

_EPSILON = 1e-4
"""Share of a step by which ramps are widened, so that rounding moves no point."""


@dataclass(frozen=True, slots=True, eq=False)
class _Ramps:
    """Indices `rows x 1` of where the window leaves 0, reaches 1, leaves 1, reaches 0."""

    first: Tensor
    up: Tensor
    down: Tensor
    last: Tensor
    epsilon: Tensor


def window(
    x: Tensor,
    xmin: Tensor,
    xmax: Tensor,
    dx: float = 1.0,
    dx2: float | None = None,
    name: str = "hanning",
    points: Tensor | None = None,
) -> Tensor:
    """Return windows on a uniform grid, `rows x points`.

    Parameters
    ----------
    x
        The grid from zero, `(points,)`.
    xmin, xmax
        Where the ramps are centred, each `rows`.
    dx, dx2
        Their widths; `dx2` defaults to `dx`. The Gaussian's σ and the parameter of
        Kaiser-Bessel windows are `dx`; for `fhanning` they are shares of the range.
    name
        One of `WINDOWS`.
    points
        How many grid points each row has, `rows`; zero beyond. All by default.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    kind = _kind(name)
    dx2 = dx if dx2 is None else dx2
    xmin, xmax = (torch.as_tensor(end).to(x).reshape(-1, 1) for end in (xmin, xmax))
    count = (
        torch.full_like(xmin, len(x), dtype=torch.long)
        if points is None
        else points.reshape(-1, 1)
    )
    ramps = _ramps(x, xmin, xmax, dx, dx2, kind, count)
    shape = _whole(x, ramps, dx, kind) if kind in _WHOLE else _ramped(x, ramps, kind)
    position = torch.arange(len(x), device=x.device)
    return torch.where(position < count, shape, 0.0)


_WHOLE = ("kai", "bes", "gau", "sin")


def _kind(name: str) -> str:
    kind = name.strip().lower()[:3]
    if kind not in {known[:3] for known in WINDOWS}:
        raise UsageError(f"unknown window {name!r}: use one of {', '.join(WINDOWS)}")
    return kind


def _ramps(
    x: Tensor,
    xmin: Tensor,
    xmax: Tensor,
    dx: float,
    dx2: float,
    kind: str,
    count: Tensor,
) -> _Ramps:
    end = x[(count - 1).clamp(min=0)]
    step = (end / (count - 1).clamp(min=1)).clamp(min=1e-9)
    epsilon = _EPSILON * step
    low, high = (xmin - dx / 2).clamp(min=0), torch.minimum(end, xmax + dx2 / 2)
    if kind == "fha":
        full_up = low + epsilon + max(dx, 0) * (xmax - xmin) / 2
        full_down = high - epsilon - min(dx2, 1) * (xmax - xmin) / 2
    else:
        full_up, full_down = xmin + dx / 2 + epsilon, xmax - dx2 / 2 - epsilon

    def index(value: Tensor) -> Tensor:
        at = ((value + epsilon) / step).long().clamp(min=0)
        return torch.minimum(at, (count - 1).clamp(min=0))

    first, up, down, last = map(index, (low, full_up, full_down, high))
    first = torch.where(up == first, (up - 1).clamp(min=0), first)
    down = torch.where(last == down, torch.maximum(up, last - 1), down)
    return _Ramps(first, up, down, last, epsilon)


def _ramped(x: Tensor, ramps: _Ramps, kind: str) -> Tensor:
    """Hanning, Parzen and Welch: ramps on either side of ones."""
    x1, x2, x3, x4 = x[ramps.first], x[ramps.up], x[ramps.down], x[ramps.last]
    x2 = torch.where(x1 == x2, x2 + ramps.epsilon, x2)
    x4 = torch.where(x3 == x4, x4 + ramps.epsilon, x4)
    position = torch.arange(len(x), device=x.device)
    shape = ((position >= ramps.up) & (position < ramps.down)).to(x.dtype)
    # Ramps are short: their functions are not worth computing on the whole grid.
    rising, falling = _between(ramps.first, ramps.up), _between(ramps.down, ramps.last)
    rise, fall = (x[rising] - x1) / (x2 - x1), (x[falling] - x3) / (x4 - x3)
    if kind == "par":
        fall = 1 - fall
    elif kind == "wel":
        rise, fall = 1 - ((x[rising] - x2) / (x2 - x1)).square(), 1 - fall.square()
    else:
        rise, fall = (rise * math.pi / 2).sin().square(), (fall * math.pi / 2).cos()
        fall = fall.square()
    return shape.scatter_(-1, rising, rise).scatter_(-1, falling, fall)


def _between(first: Tensor, last: Tensor) -> Tensor:
    """Return the indices from `first` to `last`, the last repeated in shorter rows."""
    offset = torch.arange(
        int((last - first).max().clamp(min=0)) + 1, device=first.device
    )
    return (first + offset).minimum(last.maximum(first))


def _whole(x: Tensor, ramps: _Ramps, dx: float, kind: str) -> Tensor:
    """Kaiser-Bessel, Gaussian and sine: one formula from end to end."""
    x1, x4 = x[ramps.first], x[ramps.last]
    x4 = torch.where(x[ramps.down] == x4, x4 + ramps.epsilon, x4)
    centre, half = (x1 + x4) / 2, (x4 - x1) / 2
    if kind == "gau":
        sigma = ramps.epsilon.clamp(min=dx)
        return (-((x - centre) / sigma).square() / 2).exp()
    if kind == "sin":
        position = torch.arange(len(x), device=x.device)
        inside = (position >= ramps.first) & (position <= ramps.last)
        return torch.where(inside, (math.pi * (x4 - x) / (x4 - x1)).sin(), 0.0)
    argument = (1 - ((x - centre) / half).square()).clamp(min=0).sqrt()
    at_centre = _bessel(x.new_tensor(dx))
    shape = _bessel(dx * argument)
    if kind == "kai":
        return (shape - 1) / (at_centre - 1).clamp(min=1e-10)
    return torch.where((x > x1) & (x < x4), shape / at_centre, 0.0)


def _bessel(x: Tensor) -> Tensor:
    """Return the modified Bessel function of the first kind, order zero."""
    return torch.i0(x)
