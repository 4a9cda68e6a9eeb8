"""The shapes of documents that can be made, by the names of their profiles."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from xasnn_stream.errors import UsageError
from xasnn_stream.simulation.documents.truth import NOISE, Generated, Mode, Order

SHAPES: Mapping[str, str] = {
    "bmm-step": "bmm_step",
    "iss-fly": "iss_fly",
    "dls-fly": "dls_fly",
    "sim-step": "sim_step",
    "sim-quick": "sim_quick",
}
"""Modules of this package; each has a function `generate`."""


def generate(
    shape: str,
    *,
    directory: Path,
    seed: int = 0,
    sweeps: int = 4,
    element: str = "Pt",
    mode: Mode = "transmission",
    noise: float = NOISE,
) -> Generated:
    """Return the documents of a shape and their truth; files go below `directory`.

    `noise` is the relative rms of every reading.

    Raises
    ------
    UsageError
        If there is no such shape, no spectra of the element, or nothing to measure.
    """
    if shape not in SHAPES:
        raise UsageError(f"no shape {shape!r}; there are {', '.join(SHAPES)}")
    if sweeps < 1:
        raise UsageError(f"{sweeps} sweeps cannot be measured; ask for one or more")
    module = import_module(f"{__package__}.{SHAPES[shape]}")
    made: Callable[[Order], Generated] = module.generate
    return made(Order(directory, seed, sweeps, element, mode, noise))
