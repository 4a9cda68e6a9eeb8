"""The noun that flows out: descriptors with uncertainties, verdict and provenance.

`Estimate.document` is the wire form `xasnn.estimate/1`, the same in log, feed, page,
Tiled and files.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from xasnn_stream.spectrum import Accounting, FloatArray, Reason, Run

SCHEMA = "xasnn.estimate/1"
ALGORITHM = 4
"""Raised whenever the same input would give other numbers; part of every id."""

MOST_NAMED = 16
"""Energies of points left out that an estimate names; how many there are it always says."""

Verdict = Literal["ok", "caution", "outside", "rejected"]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One number about structure.

    `std`² = `std_model`² + `std_noise`² + `std_ambiguity`²; only `interval` is
    calibrated, at probability `level`, and it contains `value`.
    """

    value: float
    std: float
    std_model: float
    std_noise: float
    std_ambiguity: float
    interval: tuple[float, float] | None
    level: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """What the measurement itself looks like; None where it could not be determined.

    `e0_shift_ev` is how far the energy axis is above the foil's by the reference channel,
    and `axis_corrected` whether all energies given are corrected by it. `step_std` is the
    edge step's standard deviation by noise (or by what had to be foreseen of it),
    `step_spread` that over admissible pre- and post-edge ranges, both relative to the
    step, and `noise` that of one point, in edge steps. `n_points` came; `n_masked` of
    them were left out and `n_merged` averaged into another of their energy. `k_max`
    (1/angstrom) is where the usable range ends. `n_bins` they were averaged into, 0 where
    they were not. `damping`, with its standard deviation, is the fine structure of
    fluorescence over that of the transmission measured with it.
    """

    e0_ev: float | None = None
    e0_shift_ev: float | None = None
    edge_step: float | None = None
    noise: float | None = None
    n_points: int = 0
    n_masked: int = 0
    n_merged: int = 0
    e0_shift_std_ev: float | None = None
    axis_corrected: bool = False
    step_std: float | None = None
    step_spread: float | None = None
    k_max: float | None = None
    n_bins: int = 0
    damping: float | None = None
    damping_std: float | None = None


@dataclass(frozen=True, slots=True)
class Novelty:
    """How unlike the training domain a spectrum is; outside when `score` > `threshold`."""

    score: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How large, with a 90 % interval; without an upper bound, None stands for it.

    Then `value` is None as well: a number would be one of the table's end.
    """

    value: float | None
    interval: tuple[float, float | None]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape, how probable it is, and how large a particle would then be.

    `across` is its longest extent from edge to edge, angstrom. None: without bound.
    """

    name: str
    probability: float
    atoms: float | None
    across: float | None


@dataclass(frozen=True, slots=True)
class Size:
    """What cn1…cn4 say of the particles, were all of them alike.

    `diameter` is that of a sphere of as many atoms in the crystal. `shapes` are ranked,
    those below a probability of 0.001 left out; they are `distinguishable` where the
    first is ten times as probable as the second and fits.
    `consistent` is False where cn1…cn4 are those of no single size: intervals are then
    widened by the misfit, whose χ² is `chi2`. `text` says it all in a sentence.
    """

    atoms: Extent
    diameter: Extent
    shapes: tuple[Shape, ...]
    distinguishable: bool
    consistent: bool
    chi2: float
    text: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything, besides the spectrum, that the numbers depend on."""

    model: str
    model_sha256: str
    profile: str
    profile_sha256: str
    reference: str | None
    reference_sha256: str | None
    package: str
    algorithm: int = ALGORITHM


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """The estimate of one sweep; `arrays` travel beside the document as raw buffers.

    `masked_ev` are energies of points that were left out, at most `MOST_NAMED`. `size` is
    None where the model has not all of cn1…cn4, or the verdict is neither ok nor caution.

    `arrays`: `energy` (eV), `mu` (the absorption that was normalized, up to a constant
    and, in fluorescence, a factor) and `mu_normalized`, shape `(points,)`, as measured,
    plus `grid_energy` (eV) and `grid_spectra` (`channel x energy`, NaN where
    unmeasured; the channels are `GRID_CHANNELS`).
    """

    id: str | None
    run: Run
    sample: str | None
    element: str
    edge: str
    time: tuple[float, float]
    descriptors: Mapping[str, Descriptor]
    verdict: Verdict
    reasons: tuple[Reason, ...]
    quality: Quality
    novelty: Novelty
    conditions: Mapping[str, float]
    accounting: Accounting
    provenance: Provenance
    masked_ev: tuple[float, ...] = ()
    size: Size | None = None
    arrays: Mapping[str, FloatArray] = field(
        default_factory=lambda: dict[str, FloatArray]()
    )

    def document(self) -> dict[str, Any]:
        """Return the JSON form `xasnn.estimate/1`; non-finite numbers become None."""
        fields: dict[str, Any] = {
            name: getattr(self, name) for name in self.__slots__ if name != "arrays"
        }
        fields["time"] = {"start": self.time[0], "end": self.time[1]}
        return {"schema": SCHEMA, **{k: _plain(v) for k, v in fields.items()}}


GRID_CHANNELS = ("mu_normalized", "mu_reference", "difference")
"""Rows of `grid_spectra`, in order."""


def estimate_id(
    run: Run,
    profile_sha256: str,
    model_sha256: str,
    reference_sha256: str | None,
) -> str | None:
    """Return the id of a final estimate, None for a partial one.

    The first 32 hex digits of SHA-256 over the canonical JSON of what the numbers depend
    on: an estimate is a pure function of these, so live, replay and recovery agree.
    """
    if not run.final:
        return None
    key = [
        run.uid,
        run.sweep,
        profile_sha256,
        model_sha256,
        reference_sha256,
        run.complete,
        ALGORITHM,
    ]
    text = json.dumps(key, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}  # type: ignore
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]  # type: ignore
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
