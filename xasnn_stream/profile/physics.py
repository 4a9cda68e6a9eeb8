"""The parts of a profile that say how readings become normalized spectra."""

from typing import Literal

from pydantic import Field, StrictBool, StrictInt, ValidationInfo, field_validator

from xasnn_stream.engine.settings import Cleaning, Grid, QualityLimits
from xasnn_stream.physics.settings import Denoising, Normalization
from xasnn_stream.profile.section import Number, Positive, Section

_CLEANING = Cleaning()
_QUALITY = QualityLimits()
_GRID = Grid()
_NORMALIZATION = Normalization()


class CleaningModel(Section):
    """What is done to readings before they are normalized; estimates say what was."""

    deglitch: StrictBool = Field(
        default=_CLEANING.deglitch,
        description="leave out points that leave the curve; else only name them",
    )
    dead_time: Literal["none", "done_by_detector", "icr_ocr"] = Field(
        default=_CLEANING.dead_time,
        description="how fluorescence counts are corrected: by the incoming over the "
        "outgoing rate of each element, or not any more",
    )
    jumps: Literal["flag", "repair"] = Field(
        default=_CLEANING.jumps,
        description="name jumps of the beam, or move what is behind them as well",
    )
    align: Literal["report", "apply"] = Field(
        default=_CLEANING.align,
        description="report how far the energy axis is from the foil's by the "
        "reference channel, or correct energies by it as well",
    )
    rebin: StrictBool = Field(
        default=_CLEANING.rebin,
        description="average points over the bins of a step scan, for scans finer than "
        "these",
    )
    denoise: Denoising = Field(
        default=_CLEANING.denoise,
        description="method that takes noise from the absorption of a sweep",
    )


class NormalizationModel(Section):
    """Pre-edge and post-edge ranges in eV relative to e0, in larch's names."""

    e0: Positive | None = Field(
        default=None, description="fixed edge energy (eV); else found"
    )
    pre1: Number | None = Field(default=None, description="start of the pre-edge range")
    pre2: Number | None = Field(default=None, description="end of the pre-edge range")
    norm1: Number | None = Field(
        default=None, description="start of the post-edge range"
    )
    norm2: Number | None = Field(default=None, description="end of the post-edge range")
    nnorm: StrictInt | None = Field(
        default=None, ge=0, le=3, description="degree of the post-edge polynomial"
    )
    nvict: StrictInt = Field(
        default=_NORMALIZATION.nvict, ge=0, le=4, description="Victoreen exponent"
    )

    @field_validator("pre2", "norm2")
    @classmethod
    def _is_above_its_start(
        cls, end: float | None, info: ValidationInfo
    ) -> float | None:
        name = str(info.field_name).replace("2", "1")
        start = info.data.get(name)
        if end is not None and start is not None and end <= start:
            raise ValueError(f"{end} must be above {name} ({start})")
        return end


class QualityModel(Section):
    """Limits beyond which a sweep is rejected."""

    min_points: StrictInt = Field(
        default=_QUALITY.min_points, ge=2, description="points"
    )
    min_pre_edge_ev: Positive = Field(
        default=_QUALITY.min_pre_edge_ev, description="data below the edge (eV)"
    )
    min_post_edge_ev: Positive = Field(
        default=_QUALITY.min_post_edge_ev, description="data above the edge (eV)"
    )
    max_e0_shift_ev: Positive = Field(
        default=_QUALITY.max_e0_shift_ev, description="e0 from the tabulated edge (eV)"
    )
    min_edge_step: Positive = Field(
        default=_QUALITY.min_edge_step, description="edge step"
    )
    max_noise: Positive = Field(
        default=_QUALITY.max_noise, description="noise relative to the edge step"
    )


_MOST_ENERGIES = 10_000
"""Of a grid: every result holds some spectra on it."""


class GridModel(Section):
    """The energies results are stored on, in eV relative to the tabulated edge."""

    start: Number = Field(default=_GRID.start, description="first energy (eV)")
    stop: Number = Field(default=_GRID.stop, description="last energy (eV)")
    step: Positive = Field(
        default=_GRID.step, description="distance of two energies (eV)"
    )

    @field_validator("stop")
    @classmethod
    def _is_above_start(cls, stop: float, info: ValidationInfo) -> float:
        if stop <= info.data.get("start", stop - 1):
            raise ValueError(f"{stop} must be above start")
        return stop

    @field_validator("step")
    @classmethod
    def _is_not_too_fine(cls, step: float, info: ValidationInfo) -> float:
        start, stop = info.data.get("start"), info.data.get("stop")
        if start is not None and stop is not None:
            energies = (stop - start) / step
            if energies > _MOST_ENERGIES:
                raise ValueError(
                    f"{step} makes {energies:.3g} energies, "
                    f"more than {_MOST_ENERGIES:,}"
                )
        return step
