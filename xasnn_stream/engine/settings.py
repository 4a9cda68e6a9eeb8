"""What the engine needs to know of a profile: plain frozen data without pydantic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from xasnn_stream.physics.settings import Denoising, Normalization


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """A sweep beyond these is rejected, with the limit that fired as its reason."""

    min_points: int = 20
    min_pre_edge_ev: float = 30.0
    min_post_edge_ev: float = 60.0
    max_e0_shift_ev: float = 15.0
    min_edge_step: float = 0.02
    max_noise: float = 0.05


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is done to readings before they are normalized.

    Points that leave the curve are left out (`deglitch`), what is behind a jump of the
    beam is moved (`jumps`), and energies are corrected by the reference channel
    (`align`); else each is only reported. `rebin` averages points over the bins of a step
    scan, `denoise` names a denoiser of `physics`. `dead_time` says how fluorescence
    counts are corrected.
    """

    deglitch: bool = True
    jumps: Literal["flag", "repair"] = "flag"
    align: Literal["report", "apply"] = "report"
    rebin: bool = False
    denoise: Denoising = "none"
    dead_time: Literal["none", "done_by_detector", "icr_ocr"] = "none"


@dataclass(frozen=True, slots=True)
class Grid:
    """The energies results are stored on, eV relative to the tabulated edge."""

    start: float = -30.0
    stop: float = 120.0
    step: float = 0.5


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one profile's spectra become normalized spectra.

    `reference_first` says which foil is subtracted when a sweep has its own reference
    channel and the deployment names a foil as well: the other one still aligns energies.
    `others` are other elements in the sample: nothing is fitted beyond their edges.
    `counts_per_unit` has, by role, the counts in one unit of a reading (of its product
    with the sweep's `dwell`, where there is one); without it noise is read from the
    spectrum. `ranges` has, by role, the sizes |reading| as it came, lowest and highest,
    that can be trusted. `excluded` has, by role, the elements of a detector that a sweep
    comes without: the others keep their numbers.
    """

    profile: str
    profile_sha256: str
    mode: Literal["transmission", "fluorescence"] = "transmission"
    reference_first: Literal["channel", "deployment"] = "channel"
    others: tuple[str, ...] = ()
    counts_per_unit: Mapping[str, float] = field(
        default_factory=lambda: dict[str, float]()
    )
    ranges: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: dict[str, tuple[float, float]]()
    )
    excluded: Mapping[str, tuple[int, ...]] = field(
        default_factory=lambda: dict[str, tuple[int, ...]]()
    )
    cleaning: Cleaning = field(default_factory=Cleaning)
    normalization: Normalization = field(default_factory=Normalization)
    quality: QualityLimits = field(default_factory=QualityLimits)
    grid: Grid = field(default_factory=Grid)
