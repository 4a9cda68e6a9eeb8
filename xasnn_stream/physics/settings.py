"""Parameters of the physics, in larch's names; plain data without torch."""

from dataclasses import dataclass, field
from typing import Literal

WINDOWS = (
    "kaiser", "hanning", "fhanning", "parzen", "welch", "gaussian", "sine", "bessel",
)  # fmt: skip
"""Names of the transforms' windows; the first three letters are enough, in any case."""

Denoising = Literal[
    "none", "savitzky_golay", "whittaker", "gaussian_process", "wavelet"
]
"""Names of the denoisers."""


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


@dataclass(frozen=True, slots=True)
class Background:
    """Background spline below `rbkg` (angstrom), as in larch's `autobk`.

    `kmin`, `kmax`, `dk` (1/angstrom) and `win` are of the transform whose components
    below `rbkg` the spline removes; `nclamp` points at either end of χ(k) are held to
    zero with the weights `clamp_lo` and `clamp_hi`. None means larch's automatic choice.
    """

    rbkg: float = 1.0
    nknots: int | None = None
    kmin: float = 0.0
    kmax: float | None = None
    kweight: int = 1
    dk: float = 0.1
    win: str = "hanning"
    nfft: int = 2048
    kstep: float = 0.05
    nclamp: int = 3
    clamp_lo: float = 0.0
    clamp_hi: float = 1.0


@dataclass(frozen=True, slots=True)
class Transform:
    """Forward transform χ(k) → χ(R), as in larch's `xftf`; 1/angstrom and angstrom."""

    kmin: float = 0.0
    kmax: float = 20.0
    kweight: int = 2
    dk: float = 1.0
    dk2: float | None = None
    window: str = "kaiser"
    rmax_out: float = 10.0
    nfft: int = 2048
    kstep: float = 0.05


@dataclass(frozen=True, slots=True)
class BackTransform:
    """Back transform χ(R) → χ(q), as in larch's `xftr`; angstrom and 1/angstrom."""

    rmin: float = 0.0
    rmax: float = 20.0
    dr: float = 1.0
    dr2: float | None = None
    rw: int = 0
    window: str = "kaiser"
    qmax_out: float = 30.0
    nfft: int = 2048


@dataclass(frozen=True, slots=True)
class Rebinning:
    """Three regions of bins, as in larch's `rebin_xafs`; eV relative to e0.

    Pre-edge from `pre1` to `pre2` in steps of `pre_step`, edge to `exafs1` in steps of
    `xanes_step`, EXAFS to `exafs2` in steps of `exafs_kstep` (1/angstrom). None means
    larch's automatic choice.
    """

    pre1: float | None = None
    pre2: float = -30.0
    pre_step: float = 2.0
    xanes_step: float | None = None
    exafs1: float = 15.0
    exafs2: float | None = None
    exafs_kstep: float = 0.05
    method: Literal["boxcar", "centroid"] = "boxcar"


@dataclass(frozen=True, slots=True)
class Reduction:
    """From μ(E) to χ(R): normalization, background, forward transform."""

    normalization: Normalization = field(default_factory=Normalization)
    background: Background = field(default_factory=Background)
    transform: Transform = field(default_factory=Transform)
