"""The candidates: what they look at, and how they read it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xasnn_stream.engine.inference import features
from xasnn_stream.networks.ensemble import forward
from xasnn_stream.training.build import Progress
from xasnn_stream.training.fit import fit_ensemble, scaling_for
from xasnn_stream.training.nuisances import Stage
from xasnn_stream.training.pool import Pool
from xasnn_stream.training.recipe import Fit
from xasnn_stream.training.study.undo import nuisance_labels, undo
from xasnn_stream.training.study.views import Kind, Measurements, Views

Reader = Callable[[Views], Tensor]
"""What a trained arm says of spectra, `members x draws x outputs`."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A candidate; with `undo`, nuisances are estimated and undone before reading."""

    name: str
    architecture: str
    kind: Kind = "difference"
    undo: bool = False


ARMS = (
    Arm("linear", "linear"),
    Arm("mlp", "mlp"),
    Arm("cnn", "cnn"),
    Arm("undo, linear", "linear", undo=True),
    Arm("undo, mlp", "mlp", undo=True),
    Arm("mlp, absolute", "mlp", "absolute"),
    Arm("cnn, absolute", "cnn", "absolute"),
    Arm("mlp, both", "mlp", "both"),
)


def train_arm(
    arm: Arm,
    on: Stage,
    seen: Measurements,
    settings: Fit,
    rng: torch.Generator,
    progress: Progress,
) -> Reader:
    """Train an arm on measurements and return how it reads others."""

    def fitted(architecture: str, pool: Pool, what: str) -> Reader:
        scaling = scaling_for(pool)
        parameters = fit_ensemble(
            pool,
            scaling,
            settings,
            rng,
            lambda share: progress(what, share),
            architecture,
        )

        def read(views: Views) -> Tensor:
            inputs = features(scaling, views.values(arm.kind), views.level(arm.kind))
            mean, _ = forward(parameters, inputs)
            return mean * scaling.output_scale + scaling.output_mean

        return read

    if not arm.undo:
        return fitted(arm.architecture, seen.pool(arm.kind), arm.name)
    sizes = replace(seen, truth=nuisance_labels(seen.sizes)).pool(arm.kind)
    estimator = fitted("mlp", sizes, f"{arm.name}: sizes")

    def undone(views: Views) -> Views:
        # One estimate for all members: a nuisance is no property of a structure.
        estimates = estimator(views).mean(0)
        return replace(views, difference=undo(on, views.difference, estimates))

    rest = replace(seen, views=undone(seen.views)).pool(arm.kind)
    reader = fitted(arm.architecture, rest, arm.name)
    return lambda views: reader(undone(views))
