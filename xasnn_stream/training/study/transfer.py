"""Theory A → theory B → measured: which candidate carries over, and with which input."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from xasnn_stream.library import (
    REFERENCE_SCALE,
    SHELL_BULK_CN,
    Library,
    read_library,
    shape_class,
)
from xasnn_stream.physics.instrument import N1
from xasnn_stream.training.build import Progress
from xasnn_stream.training.conditions import conditions
from xasnn_stream.training.mixtures import labels, particle_weights
from xasnn_stream.training.nuisances import Stage, stage
from xasnn_stream.training.pool import split
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.training.study.arms import WINDOW, Arm, Reader, train_arm
from xasnn_stream.training.study.measured import (
    Known,
    bending,
    mixtures,
    read_known,
    table,
)
from xasnn_stream.training.study.spread import spread
from xasnn_stream.training.study.views import Measurements, Views, look, measure

_DRAWS = 100
"""Spectra per particle."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Another theory's library, and the folder of measured spectra; None if not given."""

    theory: Path | None
    data: Path | None


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """Particles nobody was trained on, in one theory; `truth` is `draws x outputs`."""

    views: Views
    truth: Tensor


def transfer(
    arms: Sequence[Arm], recipe: Recipe, sources: Sources, progress: Progress
) -> Iterator[dict[str, object]]:
    """Yield a row per arm: errors on left-out particles of each theory, and measured.

    Networks are trained on theory A alone, under N1 and the arm's misfit. Errors of the
    mean of members are by descriptor; `ratio` is the error on theory B over that on
    theory A, of the same particles under the same nuisances, with its spread over single
    members.

    Raises
    ------
    XasnnError
        If a library or a measured spectrum cannot be read.
    """
    recipe = replace(recipe, input=WINDOW)
    library = read_library(recipe.library)
    on = stage(library, recipe.input)
    tests = _tests(library, recipe, sources.theory)
    known = read_known(sources.data, on) if sources.data else None
    pools: dict[float, Measurements] = {}
    for arm in arms:
        if arm.misfit not in pools:
            progress("spectra", 0.0)
            pools[arm.misfit] = _pool(library, on, recipe, arm.misfit)
        seen = pools[arm.misfit]
        rng = torch.Generator().manual_seed(recipe.seed)
        reader = train_arm(arm, on, seen, recipe.fit, rng, progress)
        row: dict[str, object] = {"arm": arm.name, "input": arm.kind}
        row |= _theories(reader, tests, recipe.descriptors)
        yield row | (_measured(reader, known) if known else {})


def _pool(library: Library, on: Stage, recipe: Recipe, misfit: float) -> Measurements:
    recipe = replace(recipe, nuisances=replace(N1, misfit=(0.0, misfit)))
    rng = torch.Generator().manual_seed(recipe.seed)
    return measure(library, recipe, split(library, recipe), on, rng)


def _tests(library: Library, recipe: Recipe, theory: Path | None) -> dict[str, _Test]:
    """Return left-out fcc particles at the reference scale in every theory there is."""
    others = {"theory A": library} | (
        {"theory B": read_library(theory)} if theory else {}
    )
    names = [
        name
        for name in recipe.held_out
        if shape_class(name) == "fcc"
        and all(name in of.complete(REFERENCE_SCALE) for of in others.values())
    ]
    return {title: _seen(of, names, recipe) for title, of in others.items()}


def _seen(library: Library, names: Sequence[str], recipe: Recipe) -> _Test:
    on = stage(library, recipe.input)
    rng = torch.Generator().manual_seed(recipe.seed)
    weights = torch.cat(
        [
            particle_weights(library, name, REFERENCE_SCALE).expand(_DRAWS, -1)
            for name in names
        ]
    )
    usual = conditions(recipe.nuisances)["N1"]
    return _Test(
        look(on, weights, usual, rng), labels(library, weights, recipe.descriptors)
    )


def _theories(
    reader: Reader, tests: Mapping[str, _Test], names: Sequence[str]
) -> dict[str, object]:
    shells = [k for k, name in enumerate(names) if name.startswith("cn")]
    bulk = torch.tensor(SHELL_BULK_CN[: len(shells)])
    row: dict[str, object] = {}
    errors: list[Tensor] = []
    for title, test in tests.items():
        values = reader(test.views)
        error = (values.mean(0) - test.truth).abs().mean(0)
        row[title] = dict(zip(names, error.tolist(), strict=True))
        single = (values - test.truth).abs().mean(1)[:, shells] / bulk
        errors.append(single.mean(-1))
    if len(errors) > 1:
        row["ratio"] = spread(errors[1] / errors[0])
    return row


def _measured(reader: Reader, known: Known) -> dict[str, object]:
    cn1 = reader(known.views)[..., 0]
    mixed = reader(mixtures(known))[..., 0].mean(0, keepdim=True)
    return {"measured": table(known, cn1), "bending": float(bending(mixed))}
