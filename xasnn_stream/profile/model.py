"""The keys of a profile, what they mean, and what their values may be."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from xasnn_stream.assembly.settings import (
    AssemblySettings,
    Energy,
    Lookup,
    Rule,
    Signal,
)
from xasnn_stream.edges import EDGES, ELEMENTS
from xasnn_stream.engine.settings import EngineSettings, Grid, QualityLimits
from xasnn_stream.errors import ModelError
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.shipped import model_folder

_PATH = r"^[^.]+(\.[^.]+)*$"

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
Path = Annotated[StrictStr, Field(pattern=_PATH)]
Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _plain(value: object) -> object:
    if isinstance(value, str | int | float | bool):
        return value
    raise ValueError(f"must be a text, a number, true or false, not {value!r}")


def _number_or_path(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be a number or a dotted path, not {value!r}")
    if isinstance(value, str) and not re.fullmatch(_PATH, value):
        raise ValueError(f"{value!r} is no dotted path")
    if not isinstance(value, str) and not math.isfinite(value):
        raise ValueError(f"must be finite, not {value}")
    return value


Role = Literal["i0", "it", "ir", "if"]
Plain = Annotated[bool | int | float | str, BeforeValidator(_plain)]
Offset = Annotated[float | str, BeforeValidator(_number_or_path)]

_QUALITY = QualityLimits()
_GRID = Grid()
_NORMALIZATION = Normalization()


class Section(BaseModel):
    """Base of all parts of a profile: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleModel(Section):
    """A condition on one value of the start document; everything given must hold."""

    key: Path = Field(description="dotted path in the start document")
    equals: Plain | None = Field(default=None, description="the value must be this")
    any_of: list[Plain] | None = Field(
        default=None,
        alias="in",
        min_length=1,
        description="the value must be one of these",
    )
    regex: StrictStr | None = Field(
        default=None, description="the value must be text that this matches as a whole"
    )
    exists: StrictBool | None = Field(
        default=None, description="the value must be there (true) or absent (false)"
    )

    @field_validator("regex")
    @classmethod
    def _compiles(cls, regex: str | None) -> str | None:
        try:
            re.compile(regex or "")
        except re.error as error:
            raise ValueError(f"{regex!r} is no regular expression: {error}") from None
        return regex

    @model_validator(mode="after")
    def _asks_something(self) -> "RuleModel":
        asked = (self.equals, self.any_of, self.regex, self.exists)
        if all(condition is None for condition in asked):
            raise ValueError("needs equals, in, regex or exists")
        return self

    def settings(self) -> Rule:
        """Return the rule as plain data."""
        any_of = self.any_of if self.equals is None else [self.equals]
        both = self.equals is not None and self.any_of is not None
        if both and self.equals not in (self.any_of or []):
            any_of = []
        allowed = None if any_of is None else tuple(any_of)
        return Rule(self.key, allowed, self.regex, self.exists)


class LookupModel(Section):
    """Where in the start document a text is."""

    paths: list[Path] = Field(
        default=[], description="dotted paths; the first found wins"
    )
    default: StrictStr | None = Field(
        default=None, description="used if no path has a text"
    )

    @model_validator(mode="after")
    def _finds_something(self) -> "LookupModel":
        if not self.paths and self.default is None:
            raise ValueError("needs paths, a default, or both")
        return self

    def settings(self) -> Lookup:
        """Return the lookup as plain data."""
        return Lookup(tuple(self.paths), self.default)


class MetadataModel(Section):
    """What the start document says about the sample."""

    element: LookupModel = Field(description="absorbing element, such as Pt")
    edge: LookupModel = Field(description="absorption edge, such as L3")
    sample: LookupModel | None = Field(default=None, description="name of the sample")

    @field_validator("element", "edge")
    @classmethod
    def _is_known(cls, lookup: LookupModel, info: ValidationInfo) -> LookupModel:
        known = ELEMENTS if info.field_name == "element" else EDGES
        if lookup.default is not None and lookup.default not in known:
            raise ValueError(f"{lookup.default!r} is no {info.field_name}")
        return lookup


class EnergyModel(Section):
    """The energy axis of a step scan."""

    key: StrictStr = Field(min_length=1, description="data key of the readback")
    stream: StrictStr = Field(
        default="primary", description="stream of energy and signals"
    )
    unit: Literal["eV", "keV"] = Field(default="eV", description="unit of the readback")


class SignalModel(Section):
    """One channel, in the same events as the energy."""

    key: StrictStr = Field(min_length=1, description="data key of the channel")
    offset: Offset = Field(
        default=0.0,
        description="dark level in the channel's unit, or its dotted path in the start "
        "document",
    )
    optional: StrictBool = Field(
        default=False, description="a sweep without it is usable"
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


class ProfileModel(Section):
    """A profile: which runs, how they become spectra, and which model reads them."""

    name: Name = Field(description="name in results; the file's name if not given")
    match: list[RuleModel] = Field(
        min_length=1, description="rules a run must fit, all of them"
    )
    reject: list[RuleModel] = Field(
        default=[], description="rules a run must not fit, any"
    )
    metadata: MetadataModel = Field(description="what the start document says")
    energy: EnergyModel = Field(description="the energy axis")
    mode: Literal["transmission", "fluorescence"] = Field(
        default="transmission", description="which signals make the absorption"
    )
    signals: dict[Role, SignalModel] = Field(description="channels by role")
    conditions: dict[Name, Path] = Field(
        default={}, description="numbers of the start document to carry along, by name"
    )
    reference_first: Literal["channel", "deployment"] = Field(
        default="channel",
        description="the foil that is subtracted if a sweep has a reference channel "
        "and the deployment names a foil as well",
    )
    normalization: NormalizationModel = Field(
        default_factory=NormalizationModel, description="pre-edge and post-edge ranges"
    )
    quality: QualityModel = Field(
        default_factory=QualityModel, description="limits for rejection"
    )
    grid: GridModel = Field(
        default_factory=GridModel, description="energies of stored results"
    )
    model: Name = Field(description="folder in models/ that reads the spectra")

    @field_validator("signals")
    @classmethod
    def _has_what_the_mode_needs(
        cls, signals: dict[str, Any], info: ValidationInfo
    ) -> dict[str, Any]:
        mode = info.data.get("mode", "transmission")
        needed = {"i0", "it"} if mode == "transmission" else {"i0", "if"}
        missing = sorted(r for r in needed if r not in signals or signals[r].optional)
        if missing:
            raise ValueError(f"{mode} needs {', '.join(missing)}, not optional")
        return signals

    @field_validator("model")
    @classmethod
    def _is_there(cls, model: str) -> str:
        try:
            model_folder(model)
        except ModelError as error:
            raise ValueError(str(error)) from error
        return model

    def assembly(self) -> AssemblySettings:
        """Return what assembly needs to know."""
        metadata = self.metadata
        return AssemblySettings(
            profile=self.name,
            match=tuple(rule.settings() for rule in self.match),
            reject=tuple(rule.settings() for rule in self.reject),
            element=metadata.element.settings(),
            edge=metadata.edge.settings(),
            sample=metadata.sample.settings() if metadata.sample else Lookup(),
            energy=Energy(**self.energy.model_dump()),
            signals={r: Signal(**s.model_dump()) for r, s in self.signals.items()},
            conditions=dict(self.conditions),
        )

    def engine(self, profile_sha256: str) -> EngineSettings:
        """Return what the engine needs to know."""
        return EngineSettings(
            profile=self.name,
            profile_sha256=profile_sha256,
            mode=self.mode,
            reference_first=self.reference_first,
            normalization=Normalization(**self.normalization.model_dump()),
            quality=QualityLimits(**self.quality.model_dump()),
            grid=Grid(**self.grid.model_dump()),
        )
