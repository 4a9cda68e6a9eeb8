"""An edge whose e0, step and flatness are known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

E0 = 8979.0
STEP = 1.3


@dataclass(frozen=True)
class Edge:
    """An analytic spectrum: energies (eV), μ and what normalization must find."""

    energy: np.ndarray
    mu: np.ndarray
    e0: float
    step: float


@pytest.fixture(scope="session")
def edge() -> Callable[..., Edge]:
    """A function: arctangent edge on a line, with a quadratic above.

    The arctangent of 0.05 eV half width is a step to 1e-3 beyond 20 eV; the quadratic
    vanishes with its slope at e0, so the step there is exact.
    """

    def make(
        *,
        e0: float = E0,
        step: float = STEP,
        width: float = 0.05,
        start: float = -150.0,
        stop: float = 400.0,
        spacing: float = 1.0,
        bend: float = 1e-6,
    ) -> Edge:
        relative = np.arange(start, stop, spacing)
        above = np.maximum(relative, 0)
        rise = 0.5 + np.arctan(relative / width) / np.pi
        mu = 0.4 - 3e-4 * relative + step * rise - bend * above**2
        return Edge(e0 + relative, mu, e0, step)

    return make
