"""Documents of any shape, by the name of its profile."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from xasnn_stream.errors import UsageError
from xasnn_stream.simulation.documents import SHAPES
from xasnn_stream.simulation.documents.truth import NOISE, Generated, Mode, Order


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

    `noise` is the relative rms of every reading; `seed` gives another draw of it, and
    other ids. Two shapes of one seed have nothing in common.

    Raises
    ------
    UsageError
        If there is no such shape, no spectra of the element, nothing to measure, or a
        negative seed.
    """
    if shape not in SHAPES:
        raise UsageError(f"no shape {shape!r}; there are {', '.join(SHAPES)}")
    if sweeps < 1:
        raise UsageError(f"{sweeps} sweeps cannot be measured; ask for one or more")
    if seed < 0:
        raise UsageError(f"{seed} is no seed; name a whole number from 0 on")
    module = import_module(f"{__package__}.{SHAPES[shape]}")
    made: Callable[[Order], Generated] = module.generate
    entropy = (seed, *shape.encode())
    return made(Order(directory, entropy, sweeps, element, mode, noise))
