"""One method for one grid, applied to a batch of any grids."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from xasnn_stream.physics.denoise.denoiser import Denoised, Denoiser

FEWEST_POINTS = 20
"""Shorter spectra are returned as they are: there is nothing to compare a point with."""

_ANCHOR_EV = 4.0
"""e0 is rounded to a multiple of this: priors change over tens of eV, and repeats whose
e0 differs by a point share their operators."""
_KEPT = 4
"""Operators of so many grids are kept by each method; of 900 points they take 70 MB."""


class Rows(NamedTuple):
    """Spectra on one grid: `x` (`points`) relative to the edge `e0`, eV; `mu` on it.

    `mu` and `noise` are `rows x points`; everything float64. `key` names grid and edge.
    """

    x: Tensor
    e0: float
    mu: Tensor
    noise: Tensor
    key: Hashable


class Method(Protocol):
    """A denoiser of spectra on one grid."""

    def __call__(self, rows: Rows) -> Denoised:
        """Return `rows x points`."""
        ...


def on_any_grid(method: Method) -> Denoiser:
    """Return the denoiser that applies a method to each grid of a batch."""

    def denoise(
        energy: Tensor, mu: Tensor, valid: Tensor | None, noise: Tensor, e0: Tensor
    ) -> Denoised:
        result = mu.clone()
        noise = _per_point(noise, mu)
        std = noise.to(mu.dtype).clone()
        known = True
        for index, rows in _groups(energy, mu, valid, noise, e0):
            found = method(rows)
            points = rows.x.numel()
            result[index, :points] = found.mu.to(mu.dtype)
            known = known and found.std is not None
            if found.std is not None:
                std[index, :points] = found.std.to(mu.dtype)
        return Denoised(result, std if known else None)

    return denoise


def _groups(
    energy: Tensor, mu: Tensor, valid: Tensor | None, noise: Tensor, e0: Tensor
) -> Iterator[tuple[Tensor, Rows]]:
    """Yield the rows of each grid and edge.

    Left out are short rows and those without an edge or without noise.
    """
    noisy = (noise > 0) & noise.isfinite()
    noisy = noisy if valid is None else noisy | ~valid
    sound = (e0.isfinite() & noisy.all(-1)).tolist()
    anchors = ((e0 / _ANCHOR_EV).round() * _ANCHOR_EV).tolist()
    if energy.dim() == 1:
        grids: list[bytes] = [energy.cpu().numpy().tobytes()] * len(anchors)
    else:
        counts = [energy.shape[-1]] * len(anchors)
        counts = counts if valid is None else valid.sum(-1).tolist()
        host = energy.cpu().numpy()
        grids = [row[:n].tobytes() for row, n in zip(host, counts, strict=True)]
    members: dict[tuple[bytes, float], list[int]] = {}
    for row, (grid, anchor) in enumerate(zip(grids, anchors, strict=True)):
        if sound[row] and len(grid) >= FEWEST_POINTS * energy.element_size():
            members.setdefault((grid, anchor), []).append(row)
    for (grid, anchor), chosen in members.items():
        index = torch.tensor(chosen, device=mu.device)
        points = len(grid) // energy.element_size()
        axis = energy if energy.dim() == 1 else energy[chosen[0], :points]
        yield (
            index,
            Rows(
                x=axis.double() - anchor,
                e0=anchor,
                mu=mu[index, :points].double(),
                noise=noise[index, :points].double(),
                key=(grid, anchor, str(mu.device)),
            ),
        )


def _per_point(noise: Tensor, mu: Tensor) -> Tensor:
    return noise if noise.dim() == 2 else noise.unsqueeze(-1).expand_as(mu)


class Kept:
    """Operators of the grids seen last, built once; bounded, safe among threads."""

    def __init__(self, build: Callable[[Tensor, float], Any]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._operators = OrderedDict[Hashable, Any]()

    def __call__(self, rows: Rows) -> Any:
        """Return the operators of the rows' grid."""
        with self._lock:
            if rows.key in self._operators:
                self._operators.move_to_end(rows.key)
                return self._operators[rows.key]
        built = self._build(rows.x, rows.e0)
        with self._lock:
            self._operators[rows.key] = built
            while len(self._operators) > _KEPT:
                self._operators.popitem(last=False)
        return built
