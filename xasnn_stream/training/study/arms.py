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
from xasnn_stream.training.recipe import Fit, Input
from xasnn_stream.training.study.undo import nuisance_labels, undo
from xasnn_stream.training.study.views import Kind, Measurements, Views

WINDOW = Input(start=-10.0, stop=90.0, step=1.0)
"""What all candidates read of, eV from the foil's edge."""

Reader = Callable[[Views], Tensor]
"""What a trained arm says of spectra, `members x draws x outputs`."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A candidate: an architecture, and the kind of spectra it reads up to which energy.

    With `undo`, nuisances are estimated first, from spectra of that kind, and undone.
    `misfit` is the largest theory–experiment misfit drawn in training, relative to the
    size of the difference; see `nuisances.measured`.
    """

    architecture: str
    kind: Kind = "difference"
    stop_ev: float = WINDOW.stop
    undo: Kind | None = None
    misfit: float = 0.0

    @property
    def name(self) -> str:
        """What tables call it."""
        undo = {None: "", "difference": "undo, ", "both": "undo by foil, "}[self.undo]
        misfit = f", misfit {self.misfit:g}" if self.misfit else ""
        return f"{undo}{self.architecture}, {self.kind}, to {self.stop_ev:g} eV{misfit}"


ARMS = (
    Arm("linear"),
    Arm("mlp"),
    Arm("cnn"),
    Arm("linear", undo="difference"),
    Arm("mlp", undo="difference"),
    Arm("linear", undo="both"),
    Arm("mlp", "absolute"),
    Arm("cnn", "absolute"),
    Arm("mlp", "both"),
    Arm("linear", stop_ev=50.0),
    Arm("mlp", stop_ev=30.0),
    Arm("mlp", stop_ev=50.0),
    Arm("cnn", stop_ev=50.0),
    Arm("linear", stop_ev=50.0, undo="both"),
    Arm("mlp", "absolute", stop_ev=50.0),
    Arm("mlp", "both", stop_ev=50.0),
    Arm("mlp", misfit=0.3),
    Arm("mlp", stop_ev=50.0, misfit=0.3),
)
"""Architectures, inputs and undoing on the whole window; then part of it, or misfits."""


def train_arm(
    arm: Arm,
    on: Stage,
    seen: Measurements,
    settings: Fit,
    rng: torch.Generator,
    progress: Progress,
) -> Reader:
    """Train an arm on measurements and return how it reads others."""
    bins = int((on.grid <= arm.stop_ev).sum())

    def fitted(architecture: str, kind: Kind, of: Measurements, what: str) -> Reader:
        pool = replace(of, views=of.views.until(bins)).pool(kind)
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
            seen = views.until(bins)
            inputs = features(scaling, seen.values(kind), seen.level(kind))
            mean, _ = forward(parameters, inputs)
            return mean * scaling.output_scale + scaling.output_mean

        return read

    if arm.undo is None:
        return fitted(arm.architecture, arm.kind, seen, arm.name)
    sizes = replace(seen, truth=nuisance_labels(seen.sizes))
    estimator = fitted("mlp", arm.undo, sizes, f"{arm.name}: sizes")

    def undone(views: Views) -> Views:
        # One estimate for all members: a nuisance is no property of a structure.
        estimates = estimator(views).mean(0)
        return replace(views, difference=undo(on, views.difference, estimates))

    rest = replace(seen, views=undone(seen.views))
    reader = fitted(arm.architecture, arm.kind, rest, arm.name)
    return lambda views: reader(undone(views))
