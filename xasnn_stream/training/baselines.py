"""What simpler methods make of the same spectra; a network must be worth its trouble.

- `mean`: the mean of the training labels, whatever the spectrum.
- `ridge`: linear, trained on the network's own draws, stored with the model.
- `forest`: a random forest, fitted here on fresh draws of the same pool.
- `sites`: the non-negative combination of the training library's site spectra, weights
  summing to one, that fits best; its labels are theirs, averaged.
- `from_cn1`: no spectrum at all, the other shells from the *true* cn1, as they go
  together in particles with and without bulk. A shell that an estimate does not know
  better than that is not resolved.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls
from sklearn.ensemble import RandomForestRegressor
from torch import Tensor

from xasnn_stream.engine.inference import Differences, noise_level, scaling_of
from xasnn_stream.engine.model import Model
from xasnn_stream.library import BULK, REFERENCE_SCALE, Library
from xasnn_stream.physics.instrument import NONE
from xasnn_stream.spectrum import FloatArray
from xasnn_stream.training.fit import ridge_features
from xasnn_stream.training.mixtures import (
    Structures,
    draw,
    labels,
    particle_weights,
)
from xasnn_stream.training.nuisances import Stage, differences, stage
from xasnn_stream.training.pool import split, training_structures
from xasnn_stream.training.recipe import Recipe

_SEED = 11
_FOREST_DRAWS = 6000
_TREES = 100
_SUM_WEIGHT = 10.0
"""How much the sum of the site weights counts beside spectra of order 0.1."""
_POWERS = 4
"""Coefficients of the curve through cn1: a cubic, three bends are not in the particles."""

_FROM_CN1 = ("cn2", "cn3", "cn4")

Estimates = Mapping[str, Tensor]
"""`draws x outputs` by baseline; NaN where one says nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Difference spectra of the training sites, `bins x sites`, and their rows."""

    spectra: FloatArray
    rows: Tensor
    library: Library


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """What is fitted on a model's training library; no `from_cn1` where cn1 is not read."""

    forest: RandomForestRegressor
    sites: Sites
    from_cn1: Tensor | None


def fit_baselines(model: Model, recipe: Recipe, library: Library) -> Baselines:
    """Fit the baselines on a model's own training library; always the same ones."""
    rng = torch.Generator().manual_seed(_SEED)
    on = stage(library, recipe.input)
    parts = split(library, recipe)
    kit = training_structures(library, recipe, parts)
    weights = draw(kit, recipe.mixtures, _FOREST_DRAWS, rng)
    drawn = differences(on, weights, recipe.nuisances, rng)
    truth = labels(library, weights, model.descriptors)
    scaling = scaling_of(model.tensors)
    forest = RandomForestRegressor(
        _TREES,
        min_samples_leaf=2,
        max_features=1 / 3,
        random_state=_SEED,
        n_jobs=torch.get_num_threads(),
    )
    targets = (truth.double() - scaling.output_mean.cpu()) / scaling.output_scale.cpu()
    forest.fit(_forest_features(drawn), targets.numpy())
    from_cn1 = None
    if "cn1" in model.descriptors:
        particles = _with_and_without_bulk(library, parts.training, rng)
        known = labels(library, particles, ("cn1", *model.descriptors))
        from_cn1 = fit_from_cn1(known)
    return Baselines(forest, _training_sites(library, kit, on), from_cn1)


def estimates(
    model: Model, fitted: Baselines | None, drawn: Differences, truth: Tensor
) -> Estimates:
    """Return what every baseline says of some spectra.

    Without the training library, `fitted` None, only those stored with the model.
    """
    scaling = scaling_of(model.tensors)
    ridge = ridge_features(scaling, drawn.values) @ model.tensors["ridge"]
    found = {
        "mean": scaling.output_mean.expand_as(truth),
        "ridge": ridge * scaling.output_scale + scaling.output_mean,
    }
    if fitted is None:
        return found
    seen = torch.from_numpy(fitted.forest.predict(_forest_features(drawn)))
    seen = seen.reshape(truth.shape).to(truth.device)
    found["forest"] = seen * scaling.output_scale + scaling.output_mean
    mixed = _fit_sites(fitted.sites, drawn.values.cpu().numpy(), model.descriptors)
    found["sites"] = mixed.to(truth)
    if fitted.from_cn1 is not None:
        at = model.descriptors.index("cn1")
        known = predict_from_cn1(fitted.from_cn1.to(truth.device), truth[:, at])
        told = [i for i, name in enumerate(model.descriptors) if name in _FROM_CN1]
        found["from_cn1"] = torch.full_like(truth, torch.nan)
        found["from_cn1"][:, told] = known[:, told]
    return found


def fit_from_cn1(known: Tensor) -> Tensor:
    """Fit a cubic of each column but the first in the first one, cn1, by least squares.

    `known` is `structures x (1 + outputs)`; returns `powers x outputs`.
    """
    design = _powers(known[:, 0].double())
    return torch.linalg.lstsq(design, known[:, 1:].double()).solution


def predict_from_cn1(curve: Tensor, cn1: Tensor) -> Tensor:
    """Evaluate the cubic; `structures` → `structures x outputs`."""
    return _powers(cn1.double()) @ curve


def _powers(cn1: Tensor) -> Tensor:
    return (cn1.unsqueeze(-1) / 12.0) ** torch.arange(_POWERS, device=cn1.device)


def _with_and_without_bulk(
    library: Library, names: tuple[str, ...], rng: torch.Generator, draws: int = 40
) -> Tensor:
    """Return every particle alone and, as often, with a random share of bulk."""
    bulk = particle_weights(library, BULK, REFERENCE_SCALE)
    blocks: list[Tensor] = []
    for name in names:
        alone = particle_weights(library, name, REFERENCE_SCALE).expand(draws, -1)
        share = torch.rand(draws, 1, generator=rng)
        blocks += [alone, (1 - share) * alone + share * bulk]
    return torch.cat(blocks)


def _training_sites(library: Library, kit: Structures, on: Stage) -> Sites:
    rows = torch.cat([kit.sites.flatten(), kit.scaled_sites.flatten(), kit.bulk])
    rows = rows.unique()
    single = torch.zeros(len(rows), kit.rows)
    single[torch.arange(len(rows)), rows] = 1.0
    clean = differences(on, single, NONE, torch.Generator())
    return Sites(clean.values.double().numpy().T, rows, library)


def _fit_sites(sites: Sites, values: FloatArray, names: tuple[str, ...]) -> Tensor:
    """Return labels of the best non-negative mixture of sites, `draws x outputs`."""
    total = np.full((1, sites.spectra.shape[1]), _SUM_WEIGHT)
    design = np.vstack((sites.spectra, total))
    wanted = np.hstack((values, np.full((len(values), 1), _SUM_WEIGHT)))
    share = np.array([nnls(design, row)[0] for row in wanted])
    share /= share.sum(1, keepdims=True)
    weights = torch.zeros(len(values), len(sites.library.site))
    weights[:, sites.rows] = torch.from_numpy(share).float()
    return labels(sites.library, weights, names)


def _forest_features(drawn: Differences) -> FloatArray:
    seen = torch.cat((drawn.values, noise_level(drawn.noise).unsqueeze(-1)), -1)
    return seen.double().cpu().numpy()
