"""Curves and their maximum: an architecture learns one family and is asked of others.

A curve is an edge, a white line and a damped oscillation on a slope. Families differ as
theories do from each other and from an experiment: in widths, amplitudes, the place of
the edge, and in the line's shape, which the learner never sees.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.engine.inference import Scaling, features
from xasnn_stream.networks.ensemble import Parameters, forward
from xasnn_stream.training.build import Progress
from xasnn_stream.training.fit import fit_ensemble, scaling_for
from xasnn_stream.training.pool import Pool
from xasnn_stream.training.recipe import Fit
from xasnn_stream.training.study.spread import spread

TRAINED_ON = "theory A"
_TESTED = 2000
_NOISE = 0.003
"""Standard deviation of each bin, in units of the step."""


@dataclass(frozen=True, slots=True)
class Family:
    """Ranges a family of curves is drawn from; energies in eV, heights in edge steps.

    `asymmetry` widens the white line above its top, `slope` is per 100 eV.
    """

    shift: tuple[float, float]
    edge_width: tuple[float, float]
    line: tuple[float, float]
    line_width: tuple[float, float]
    asymmetry: float
    wave: tuple[float, float]
    period: tuple[float, float]
    slope: tuple[float, float]


FAMILIES = {
    TRAINED_ON: Family(
        shift=(-0.6, 0.6),
        edge_width=(2.0, 4.0),
        line=(0.1, 0.6),
        line_width=(3.0, 6.0),
        asymmetry=1.0,
        wave=(0.05, 0.15),
        period=(18.0, 24.0),
        slope=(-0.02, 0.02),
    ),
    "theory B": Family(
        shift=(0.4, 1.6),
        edge_width=(3.0, 5.0),
        line=(0.1, 0.6),
        line_width=(4.5, 8.0),
        asymmetry=1.0,
        wave=(0.08, 0.2),
        period=(16.0, 21.0),
        slope=(-0.02, 0.02),
    ),
    "experiment": Family(
        shift=(-2.5, -0.5),
        edge_width=(2.5, 4.5),
        line=(0.1, 0.6),
        line_width=(2.5, 5.0),
        asymmetry=1.8,
        wave=(0.04, 0.12),
        period=(20.0, 27.0),
        slope=(0.01, 0.05),
    ),
}
"""Blue, red and orange of the lecture; networks learn from the first only."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """`grid` (`bins`, eV), `values` (`draws x bins`), their `maximum` (`draws x 1`)."""

    grid: Tensor
    values: Tensor
    maximum: Tensor


def draw_curves(family: Family, count: int, rng: torch.Generator) -> Curves:
    """Draw curves of a family with noise; the maximum is that of the curve without."""

    def drawn(bounds: tuple[float, float]) -> Tensor:
        low, high = bounds
        return low + (high - low) * torch.rand(count, 1, generator=rng)

    grid = torch.linspace(-10.0, 90.0, 101)
    e = grid - drawn(family.shift)
    edge = 0.5 + torch.atan(2 * e / drawn(family.edge_width)) / math.pi
    beside = e - 3.0
    width = drawn(family.line_width) * torch.where(beside > 0, family.asymmetry, 1.0)
    line = drawn(family.line) * torch.exp(-4 * math.log(2) * (beside / width).square())
    above = e.clamp(min=0)
    phase = 2 * math.pi * above / drawn(family.period)
    wave = drawn(family.wave) * torch.sin(phase) * torch.exp(-above / 40)
    clean = edge + line - wave + drawn(family.slope) * above / 100
    noise = _NOISE * torch.randn(clean.shape, generator=rng)
    return Curves(grid, clean + noise, clean.amax(-1, keepdim=True))


def toy(
    architectures: Sequence[str], settings: Fit, seed: int, progress: Progress
) -> Iterator[dict[str, object]]:
    """Yield per architecture and family the error of the maximum, and its ratio.

    `settings.members` networks learn the same pool from other starting weights and in
    another order; the spread is over them. `ratio` is against curves of the family the
    network was trained on.
    """
    rng = torch.Generator().manual_seed(seed)
    pool = _pool(
        draw_curves(FAMILIES[TRAINED_ON], settings.pool, rng), settings.members
    )
    tests = {name: draw_curves(of, _TESTED, rng) for name, of in FAMILIES.items()}
    scaling = scaling_for(pool)
    for architecture in architectures:
        parameters = fit_ensemble(
            pool,
            scaling,
            settings,
            rng,
            lambda share, name=architecture: progress(f"toy, {name}", share),
            architecture,
        )
        errors = {
            name: _errors(parameters, scaling, curves) for name, curves in tests.items()
        }
        for name, error in errors.items():
            yield {
                "architecture": architecture,
                "family": name,
                "mae": spread(error),
                "ratio": spread(error / errors[TRAINED_ON]),
            }


def _pool(curves: Curves, seeds: int) -> Pool:
    count = len(curves.values)
    return Pool(
        values=curves.values,
        noise=torch.full((count,), _NOISE),
        truth=curves.maximum,
        allowed=torch.ones(count, seeds, dtype=torch.bool),
    )


def _errors(parameters: Parameters, scaling: Scaling, curves: Curves) -> Tensor:
    """Return the mean absolute error of every member, `members`."""
    level = torch.full((len(curves.values),), _NOISE)
    mean, _ = forward(parameters, features(scaling, curves.values, level))
    value = mean * scaling.output_scale + scaling.output_mean
    return (value - curves.maximum).abs().mean((1, 2))
