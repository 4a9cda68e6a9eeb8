"""Under which nuisances a model is evaluated: the same for every model, by name."""

from dataclasses import fields

from xasnn_stream.physics.instrument import N1, NONE, Nuisances
from xasnn_stream.training.nuisances import with_noise

_NOISE_N1, _NOISE_HIGH, _FOIL_NOISE = 0.002, 0.005, 0.001
"""Noise per 1 eV, in units of the edge step: usual, high, and of the foil."""

OWN = "recipe"
"""The condition a model was trained under, whatever its recipe says."""

CONDITIONS = ("clean", "N1", "noise", "N1x2", "N1+noise", "N1-range")
"""Every condition particles are evaluated under.

`clean` has no nuisance, `N1` the named set at noise 0.2 % per 1 eV (foil 0.1 %),
`noise` 0.5 % (foil 0.1 %) and nothing else, `N1x2` every range of `N1` and its noise
twice as wide, `N1+noise` N1 at noise 0.5 %, `N1-range` N1 with the noise drawn as well.
"""


def conditions(own: Nuisances) -> dict[str, Nuisances]:
    """Return the nuisances of every condition, `own` those of the model's recipe."""
    return {
        "clean": NONE,
        "N1": with_noise(N1, _NOISE_N1, _FOIL_NOISE),
        "noise": with_noise(NONE, _NOISE_HIGH, _FOIL_NOISE),
        "N1x2": with_noise(widened(N1, 2.0), 2 * _NOISE_N1, 2 * _FOIL_NOISE),
        "N1+noise": with_noise(N1, _NOISE_HIGH, _FOIL_NOISE),
        "N1-range": N1,
        OWN: own,
    }


def widened(nuisances: Nuisances, factor: float) -> Nuisances:
    """Return the same set with every range scaled about the value that changes nothing."""
    ranges = {}
    for field in fields(nuisances):
        nothing, _ = getattr(NONE, field.name)
        low, high = getattr(nuisances, field.name)
        ranges[field.name] = (
            nothing + factor * (low - nothing),
            nothing + factor * (high - nothing),
        )
    return Nuisances(**ranges)
