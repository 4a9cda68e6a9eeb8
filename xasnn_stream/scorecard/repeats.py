"""Denoisers on repeated scans: each against the mean of the others."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.errors import FileError
from xasnn_stream.physics.denoise.denoiser import Denoiser
from xasnn_stream.physics.noise.points import local_noise
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.scorecard.alignment import Aligned, align
from xasnn_stream.scorecard.curve import Curve, read_curves, usable
from xasnn_stream.scorecard.measures import decibels, mean_and_error, whiteness
from xasnn_stream.scorecard.score import WHITE_LINE_WITHIN_EV, XANES_EV, Score

FEWEST = 4
_WHITE_LINE_HALF_EV = 0.5
_SEED = 11
_DRAWN_SCANS = 500
"""Scans of drawn noise, which give a gain to a few hundredths of a decibel."""
_SMALL = 0.2
"""Of the noise: so much more does not change how a denoiser smooths."""


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Scans of one sample, `scans x points`, and what they should show.

    `mu` as measured; `norm`, `pre_edge` and `edge_step` are its normalization with one
    e0 for all; `aligned` compares the normalized scans with each other.
    """

    name: str
    energy: Tensor
    mu: Tensor
    valid: Tensor
    e0: float
    window: tuple[float, float]
    pre_edge: Tensor
    edge_step: Tensor
    norm: Tensor
    aligned: Aligned


def read_repeats(folder: Path) -> Repeats:
    """Read the scans of a folder as repeats of each other.

    Raises
    ------
    FileError
        If fewer than four can be compared.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise FileError(f"{folder} cannot be read: {error.strerror}") from error
    curves = usable([curve for path in paths for curve in read_curves(path)])
    if len(curves) < FEWEST:
        raise FileError(
            f"{folder} holds {len(curves)} scans that can be compared, which is too few: "
            f"repeats are {FEWEST} or more whole scans with ascending energies"
        )
    return _prepare(folder.name, curves)


def _prepare(name: str, curves: list[Curve]) -> Repeats:
    points = min(len(curve.energy) for curve in curves)
    energy = torch.tensor(np.array([curve.energy[:points] for curve in curves]))
    mu = torch.tensor(np.array([curve.mu[:points] for curve in curves]))
    valid = torch.ones_like(mu, dtype=torch.bool)
    window = curves[0].window
    e0 = float(find_e0(energy, mu, valid, _limits(window, mu)).median())
    found = normalize(energy, mu, valid, Normalization(), torch.full_like(mu[:, 0], e0))
    step = found.edge_step.unsqueeze(-1)
    norm = (mu - found.pre_edge) / step
    aligned = align(energy, norm, e0)
    return Repeats(
        name, energy, mu, valid, e0, window, found.pre_edge, step, norm, aligned
    )


def score_repeats(repeats: Repeats, name: str, denoiser: Denoiser) -> Score:
    """Score a denoiser on repeats; drifts of energy, step and background left out."""
    energy, mu, valid = repeats.energy, repeats.mu, repeats.valid
    e0 = find_e0(energy, mu, valid, _limits(repeats.window, mu))
    noise = local_noise(energy, mu, valid, e0)

    def denoise(mu: Tensor) -> Tensor:
        times = len(mu) // len(energy)
        of = [each.repeat(times, 1) for each in (energy, valid, noise)]
        return denoiser(of[0], mu, of[1], of[2], e0.repeat(times)).mu

    smooth = denoise(mu)
    norm = (smooth - repeats.pre_edge) / repeats.edge_step
    before, after = _errors(repeats, norm, denoise)
    xanes = energy < repeats.e0 + XANES_EV
    everywhere = torch.ones_like(xanes)
    gains = [
        decibels(before[part].mean(), after[part].mean())
        for part in (everywhere, xanes, ~xanes)
    ]
    removed = repeats.norm - norm
    scatter = before.mean(0).clamp(min=0).sqrt()
    local = _local(scatter).expand_as(removed)
    correlation, white = whiteness(removed, local)
    return Score(
        repeats.name,
        name,
        len(mu),
        float(before.mean().sqrt()),
        float(after.mean().clamp(min=0).sqrt()),
        *gains,
        white_line=mean_and_error(_white_line(repeats, norm, local)),
        e0_ev=_e0_bias(repeats, smooth),
        edge_step=_step_bias(repeats, smooth),
        correlation=correlation,
        white=white,
    )


def _errors(
    repeats: Repeats, norm: Tensor, denoise: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the squared errors before and after, `scans x points`.

    A target follows part of a scan's own noise, and has noise of the others. What both
    do to the squared differences is asked with noise drawn anew, of the same size.
    """
    aligned = repeats.aligned
    before = (repeats.norm - aligned.target).square()
    after = (norm - aligned.target).square()
    sigma = _local(before.mean(0).sqrt())
    generator = torch.Generator().manual_seed(_SEED)
    draws = math.ceil(_DRAWN_SCANS / len(norm))
    shape = (draws, *norm.shape)
    drawn = torch.randn(shape, generator=generator, dtype=norm.dtype) * sigma
    small = _SMALL * drawn * repeats.edge_step
    both = torch.cat((repeats.mu + small, repeats.mu - small)).flatten(0, 1)
    plus, minus = denoise(both).unflatten(0, (2, *shape[:2]))
    left = (plus - minus) / (2 * _SMALL * repeats.edge_step)
    target = torch.stack([aligned.of_noise(each) for each in drawn])
    seen = (drawn - target).square()
    more_before = (drawn.square() - seen).mean(0)
    more_after = (left.square() - (left - target).square()).mean(0)
    larger = (sigma / _local(seen.mean((0, 1)).sqrt())).square()
    return before + larger * more_before, after + larger * more_after


def _local(scatter: Tensor, half: int = 10) -> Tensor:
    """Return the scatter of single points averaged over their neighbours, `points`."""
    square = torch.nn.functional.pad(
        scatter.square()[None, None], (half, half), mode="replicate"
    )
    return torch.nn.functional.avg_pool1d(square, 2 * half + 1, 1).sqrt()[0, 0]


def _white_line(repeats: Repeats, norm: Tensor, noise: Tensor) -> Tensor:
    """Return by how much the white line of each scan moved, in noise of a point.

    The mean over half an electronvolt on either side of the maximum of the mean. What
    is compared is the scan with itself: its noise has mean zero, so that over the scans
    only the bias remains.
    """
    mean = repeats.aligned.target.mean(0)
    relative = repeats.energy - repeats.e0
    inside = (relative[0] > 0) & (relative[0] < WHITE_LINE_WITHIN_EV)
    at = relative[:, mean.masked_fill(~inside, -torch.inf).argmax()]
    near = (relative - at.unsqueeze(-1)).abs() <= _WHITE_LINE_HALF_EV
    moved = torch.where(near, (norm - repeats.norm) / noise, 0.0)
    return moved.sum(-1) / near.sum(-1)


def _e0_bias(repeats: Repeats, smooth: Tensor) -> tuple[float, float]:
    """Return how far e0 lies from that of the mean of the others on the scan's axis."""
    window = _limits(repeats.window, smooth)
    truth = find_e0(repeats.energy, repeats.aligned.target, repeats.valid, window)
    found = find_e0(repeats.energy, smooth, repeats.valid, window)
    return mean_and_error(found - truth)


def _step_bias(repeats: Repeats, smooth: Tensor) -> tuple[float, float]:
    at = torch.full_like(smooth[:, 0], repeats.e0)
    found = normalize(repeats.energy, smooth, repeats.valid, Normalization(), at)
    return mean_and_error(found.edge_step / repeats.edge_step.squeeze(-1) - 1)


def _limits(window: tuple[float, float], mu: Tensor) -> tuple[Tensor, Tensor]:
    low, high = (torch.full_like(mu[:, 0], end) for end in window)
    return low, high
