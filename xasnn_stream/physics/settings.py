"""Parameters of the physics, in larch's names; plain data without torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Normalization:
    """Pre-edge line and post-edge polynomial, as in larch's `pre_edge`.

    Ranges are in eV relative to e0; None means larch's automatic choice. `nnorm` is the
    degree of the post-edge polynomial (0 to 3), `nvict` the Victoreen exponent.
    """

    e0: float | None = None
    pre1: float | None = None
    pre2: float | None = None
    norm1: float | None = None
    norm2: float | None = None
    nnorm: int | None = None
    nvict: int = 0
