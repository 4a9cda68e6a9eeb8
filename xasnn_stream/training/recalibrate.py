"""New intervals from a few known samples: a scale on top of the calibrated ones.

The score of a known sample is how far its truth lies from the estimate, in units of the
interval's own half width there. Its conformal quantile, one weight per sample, is the
factor by which the interval of a level must grow or may shrink. Only a factor is
learnt, per descriptor and level: ten samples cannot teach more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from xasnn_stream.engine.model import Model
from xasnn_stream.errors import UsageError
from xasnn_stream.estimate import Descriptor
from xasnn_stream.library import BULK, Library
from xasnn_stream.training.mixtures import particle_weights
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.training.samples import complete_somewhere
from xasnn_stream.training.scored import drawn_under, estimate
from xasnn_stream.uncertainty.conformal import particle_quantile
from xasnn_stream.uncertainty.decomposition import Parts

MIN_SAMPLES = 3
"""With fewer, not even the 68 % level has a quantile."""

CONDITION = "N1"
"""Under which nuisances spectra of a library are measured."""

_SEED = 13
_NO_WIDTH = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Estimates of samples whose truth is known.

    `truth` is `draws x outputs`, NaN where it is not known; `owners` (`draws`) names the
    sample each draw is of: the unit that counts once.
    """

    parts: Parts
    truth: Tensor
    owners: tuple[str, ...]

    def only(self, rows: Sequence[int]) -> "Known":
        """Return some of the draws."""
        index = torch.tensor(rows, device=self.truth.device)
        parts = Parts(*(getattr(self.parts, f.name)[index] for f in fields(Parts)))
        return Known(parts, self.truth[index], tuple(self.owners[row] for row in rows))


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Factors on the half widths, by level and descriptor, and what they rest on.

    `highest` is, by descriptor, the highest level so few samples can support; levels
    above it have its factor, and what no sample told of has none (1). `n` draws are of
    `n_samples` samples, of them `known` by descriptor tell of it.
    """

    factors: Mapping[float, Mapping[str, float]]
    highest: Mapping[str, float]
    known: Mapping[str, int]
    n: int
    n_samples: int


def known_from_library(
    model: Model, recipe: Recipe, library: Library, count: int, seed: int = _SEED
) -> Known:
    """Draw spectra of a library's complete particles, at most `count` of all together.

    Particles share the draws evenly, each draw at a random one of its lattice scales.

    Raises
    ------
    UsageError
        If the library is of another edge, or has too few particles for any level.
    """
    if (library.element, library.edge) != (model.element, model.edge):
        raise UsageError(
            f"the samples are of {library.element} {library.edge}, the model reads "
            f"{model.element} {model.edge}"
        )
    rng = torch.Generator().manual_seed(seed)
    twins = set(model.manifest["duplicates"])
    names = [n for n in library.particles if n != BULK and n not in twins]
    found = complete_somewhere(library, names)
    order = torch.randperm(len(found), generator=rng).tolist()
    owners = tuple(found[i] for i in order[:count])
    if len(owners) < MIN_SAMPLES:
        raise UsageError(_too_few(len(owners)))
    owners *= count // len(owners)
    weights = torch.stack([_at_some_scale(library, name, rng) for name in owners])
    drawn, truth = drawn_under(model, recipe, library, weights, CONDITION, rng)
    return Known(estimate(model, drawn), truth, owners)


def known_from_estimates(
    model: Model,
    estimates: Sequence[Mapping[str, Descriptor]],
    truths: Sequence[Mapping[str, float]],
    owners: tuple[str, ...],
) -> Known:
    """Take delivered estimates and what is known of their samples, by descriptor."""
    names = model.descriptors

    def table(values: Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=model.device)

    def part(key: str) -> Tensor:
        return table([[getattr(found[n], key) for n in names] for found in estimates])

    parts = Parts(
        value=part("value"),
        model=part("std_model"),
        noise=part("std_noise"),
        ambiguity=part("std_ambiguity"),
    )
    truth = table([[one.get(name, math.nan) for name in names] for one in truths])
    return Known(parts, truth, owners)


def joined(known: Sequence[Known]) -> Known:
    """Return all known samples as one."""
    parts = Parts(
        *(
            torch.cat([getattr(one.parts, field.name) for one in known])
            for field in fields(Parts)
        )
    )
    owners = tuple(owner for one in known for owner in one.owners)
    return Known(parts, torch.cat([one.truth for one in known]), owners)


def recalibrate(model: Model, known: Known) -> Recalibration:
    """Find the factors.

    Raises
    ------
    UsageError
        If no descriptor is known of at least three samples.
    """
    names = model.descriptors
    levels = sorted(model.quantiles)
    labelled = {owner: k for k, owner in enumerate(dict.fromkeys(known.owners))}
    sample = torch.tensor([labelled[owner] for owner in known.owners])
    factors: dict[float, dict[str, float]] = {level: {} for level in levels}
    highest: dict[str, float] = {}
    counts: dict[str, int] = {}
    for k, name in enumerate(names):
        rows = (~known.truth[:, k].isnan()).nonzero().squeeze(-1)
        of = sample[rows.cpu()]
        counts[name] = len(of.unique())
        if counts[name] < MIN_SAMPLES:
            continue
        scores = {at: _score(model, known, at)[rows, k].cpu() for at in levels}
        independent = effective_number(scores[levels[0]], of)
        possible = [level for level in levels if supports(independent, level)]
        highest[name] = possible[-1]
        for level in levels:
            at = min(level, possible[-1])
            factors[level][name] = _conformal_factor(scores[at], of, at, independent)
    if not highest:
        raise UsageError(_too_few(max(counts.values())))
    for level in levels:
        factors[level] = {name: factors[level].get(name, 1.0) for name in names}
    return Recalibration(factors, highest, counts, len(known.owners), len(labelled))


def effective_number(score: Tensor, sample: Tensor) -> float:
    """Return how many independent draws as good as these there would be.

    Σ nᵢ / (1 + (nᵢ - 1) ρ) over samples with nᵢ draws, ρ the correlation of the scores
    within a sample by one-way analysis of variance (Kish 1965): the number of samples if
    all draws of one agree, of draws if they differ as much as those of two.
    """
    counts = torch.bincount(sample).double()
    counts = counts[counts > 0]
    groups, total = len(counts), float(counts.sum())
    if total == groups:
        return float(groups)
    means = torch.stack([score[sample == label].mean() for label in sample.unique()])
    between = (counts * (means - score.mean()).square()).sum() / (groups - 1)
    inside = score.square().sum() - (counts * means.square()).sum()
    within = inside.clamp(min=0) / (total - groups)
    size = (total - float(counts.square().sum()) / total) / (groups - 1)
    spread = between + (size - 1) * within
    rho = float(((between - within) / spread).clamp(0, 1)) if spread > 0 else 1.0
    return float((counts / (1 + (counts - 1) * rho)).sum())


def _conformal_factor(
    score: Tensor, sample: Tensor, level: float, independent: float
) -> float:
    """Return the quantile at level · (n + 1) / n, n being the independent draws."""
    n = len(sample.unique())
    corrected = level * (independent + 1) / independent * n / (n + 1)
    return float(particle_quantile(score.unsqueeze(-1), sample, corrected))


def supports(samples: float, level: float) -> bool:
    """Return whether a conformal quantile exists: level · (n + 1) / n at most one.

    >>> [level for level in (0.68, 0.9, 0.95) if supports(10, level)]
    [0.68, 0.9]
    """
    return samples > 0 and level * (samples + 1) / samples <= 1 + 1e-9


def scaled_quantiles(
    quantiles: Mapping[float, Tensor],
    names: Sequence[str],
    found: Recalibration,
) -> dict[float, Tensor]:
    """Return calibrated quantiles times their factors; a higher level is never narrower."""
    scaled: dict[float, Tensor] = {}
    least: Tensor | None = None
    for level in sorted(quantiles):
        factor = [found.factors[level][name] for name in names]
        wanted = quantiles[level] * quantiles[level].new_tensor(factor)
        least = wanted if least is None else torch.maximum(wanted, least)
        scaled[level] = least
    return scaled


def _score(model: Model, known: Known, level: float) -> Tensor:
    """Return distances from the estimate over the interval's half width on that side."""
    low, high = model.interval(known.parts, level)
    value = known.parts.value
    # An interval may end at its value where a bound of the descriptor ends it.
    above = (known.truth - value) / (high - value).clamp(min=_NO_WIDTH)
    below = (value - known.truth) / (value - low).clamp(min=_NO_WIDTH)
    return torch.maximum(above, below)


def _at_some_scale(library: Library, name: str, rng: torch.Generator) -> Tensor:
    scales = [scale for scale in library.scales if name in library.complete(scale)]
    chosen = int(torch.randint(len(scales), (1,), generator=rng))
    return particle_weights(library, name, scales[chosen])


def _too_few(samples: int) -> str:
    return (
        f"{samples} known samples cannot support any interval: at least {MIN_SAMPLES} "
        "different ones are needed, 9 for the 90 % level and 19 for 95 %"
    )
