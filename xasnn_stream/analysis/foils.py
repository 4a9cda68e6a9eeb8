"""Which of several foils belongs to an edge."""

from collections.abc import Sequence

from xasnn_stream.analysis.absorption import steepest_rise
from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.engine.foil import Foil
from xasnn_stream.errors import UsageError
from xasnn_stream.manifest import Manifest

_NEAR_EV = 15.0
"""Chemical shift and an axis out of calibration together stay below this."""


def foil_for(foils: Sequence[Foil], model: Manifest) -> Foil | None:
    """Return the foil of a model's edge; None if none is, then others serve.

    A single foil is for every scan, unless the model reads several edges: that it is of
    another edge, the engine says.

    Raises
    ------
    UsageError
        If two foils are of one edge.
    """
    if len(foils) == 1 and not model.part:
        return foils[0]
    tabulated = edge_energy_ev(model.element, model.edge) or 0.0
    chosen = [
        foil
        for foil in foils
        if abs(steepest_rise(foil.energy_ev, foil.mu)[0] - tabulated) <= _NEAR_EV
    ]
    if len(chosen) > 1:
        names = " and ".join(foil.name for foil in chosen)
        raise UsageError(
            f"{names} are foils of {model.element} {model.edge}; name one per edge"
        )
    return chosen[0] if chosen else None
