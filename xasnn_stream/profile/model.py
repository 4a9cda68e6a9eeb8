"""The keys of a profile, what they mean, and what their values may be."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from xasnn_stream.assembly.settings import AssemblySettings, Lookup
from xasnn_stream.edges import ELEMENTS
from xasnn_stream.engine.intake import ROLES
from xasnn_stream.engine.settings import (
    Cleaning,
    EngineSettings,
    Grid,
    QualityLimits,
)
from xasnn_stream.errors import ModelError
from xasnn_stream.manifest import read_part
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.profile.conditions import Conditional
from xasnn_stream.profile.energy import EnergyModel
from xasnn_stream.profile.physics import (
    CleaningModel,
    GridModel,
    NormalizationModel,
    QualityModel,
)
from xasnn_stream.profile.runs import MetadataModel, RuleModel
from xasnn_stream.profile.section import ModelName, Name, Section
from xasnn_stream.profile.signals import SignalModel
from xasnn_stream.profile.streams import SegmentModel, StreamModel
from xasnn_stream.shipped import model_part

Role = Literal["i0", "it", "ir", "if", "icr", "ocr", "dwell"]

_OF_ELEMENTS: tuple[Role, ...] = ("if", "icr", "ocr")
"""Signals of a detector that may have several elements."""


def _known(element: str) -> str:
    if element not in ELEMENTS:
        raise ValueError(f"{element!r} is no element")
    return element


Element = Annotated[StrictStr, AfterValidator(_known)]


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
    streams: dict[Name, StreamModel] = Field(
        default={},
        description="streams of the run under names of the profile's own; without them "
        "a stream is named as in the run",
    )
    energy: EnergyModel = Field(description="the energy axis")
    mode: Literal["transmission", "fluorescence"] = Field(
        default="transmission",
        description="which signals make the absorption, unless metadata.mode says it",
    )
    signals: dict[Role, SignalModel] = Field(description="channels by role")
    segment: SegmentModel = Field(
        default_factory=SegmentModel, description="how the rows of a run become sweeps"
    )
    conditions: dict[Name, Conditional] = Field(
        default={},
        description="numbers to carry along, by name: a dotted path in the start "
        "document, or a column of a stream",
    )
    reference_first: Literal["channel", "deployment"] = Field(
        default="channel",
        description="the foil that is subtracted if a sweep has a reference channel "
        "and the deployment names a foil as well",
    )
    others: list[Element] = Field(
        default=[],
        description="other elements in the sample: normalization ends before their "
        "edges",
    )
    cleaning: CleaningModel = Field(
        default_factory=CleaningModel,
        description="what is done to readings before normalization",
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
    model: ModelName = Field(
        description="folder in models/ that reads the spectra; with #Pd_K behind it "
        "where it reads several edges"
    )

    @field_validator("signals")
    @classmethod
    def _has_what_the_mode_needs(
        cls, signals: dict[str, Any], info: ValidationInfo
    ) -> dict[str, Any]:
        mode = info.data.get("mode", "transmission")
        needed = set(ROLES[mode])
        mistakes: list[str] = []
        missing = sorted(r for r in needed if r not in signals or signals[r].optional)
        if missing:
            mistakes.append(f"{mode} needs {', '.join(missing)}, not optional")
        counted = {role for role, signal in signals.items() if signal.counts_per_unit}
        if counted not in (set(), needed):
            both = " and ".join(sorted(needed))
            mistakes.append(f"counts_per_unit: give it for {both}, or for none")
        if "dwell" in signals and signals["dwell"].optional:
            mistakes.append("dwell cannot be optional: it tells counts from rates")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return signals

    @field_validator("model")
    @classmethod
    def _is_there(cls, model: str) -> str:
        try:
            read_part(*model_part(model))
        except ModelError as error:
            raise ValueError(str(error)) from error
        return model

    def contradictions(self) -> list[str]:
        """Return a sentence for all keys that are right alone, but not beside others."""
        return [*self._of_elements(), *self._of_rates(), *self._of_streams()]

    def _of_elements(self) -> Iterator[str]:
        for role, signal in self.signals.items():
            if len(signal.columns) > 1 and role not in _OF_ELEMENTS:
                yield (
                    f"signals.{role}: only if, icr and ocr are of several elements; an "
                    "expression adds columns"
                )

    def _of_rates(self) -> Iterator[str]:
        if self.cleaning.dead_time != "icr_ocr":
            return
        detector = [self.signals.get(role) for role in _OF_ELEMENTS]
        elements = {(len(s.columns), *sorted(set(s.exclude))) for s in detector if s}
        if None in detector or len(elements) > 1:
            yield (
                "cleaning.dead_time icr_ocr needs if, icr and ocr, of as many elements "
                "and with the same exclude"
            )

    def _of_streams(self) -> Iterator[str]:
        """Yield what is wrong where rows of one stream only are read."""
        own = self.energy.stream
        streams = {role: s.stream or own for role, s in self.signals.items()}
        if self.energy.kind == "array":
            own = next(iter(streams.values()))
            why = f"energy.kind array needs all signals in one stream, {own}"
        elif self.segment.kind == "per_event":
            why = (
                "segment.kind per_event needs all signals in the stream of the energy, "
                f"{own}"
            )
        else:
            return
        for role, stream in streams.items():
            if stream != own:
                yield f"{why}, not signals.{role}.stream {stream}"

    def assembly(self) -> AssemblySettings:
        """Return what assembly needs to know."""
        metadata = self.metadata
        return AssemblySettings(
            profile=self.name,
            default_mode=self.mode,
            match=tuple(rule.settings() for rule in self.match),
            reject=tuple(rule.settings() for rule in self.reject),
            element=metadata.element.settings(),
            edge=metadata.edge.settings(),
            sample=metadata.sample.settings() if metadata.sample else Lookup(),
            mode=metadata.mode.settings() if metadata.mode else Lookup(),
            e0=metadata.e0.settings() if metadata.e0 else Lookup(),
            streams={name: s.settings() for name, s in self.streams.items()},
            energy=self.energy.settings(),
            signals={role: s.settings() for role, s in self.signals.items()},
            segment=self.segment.settings(),
            conditions={name: c.settings() for name, c in self.conditions.items()},
        )

    def engine(self, profile_sha256: str) -> EngineSettings:
        """Return what the engine needs to know."""
        return EngineSettings(
            profile=self.name,
            profile_sha256=profile_sha256,
            mode=self.mode,
            reference_first=self.reference_first,
            others=tuple(self.others),
            counts_per_unit={
                role: signal.counts_per_unit
                for role, signal in self.signals.items()
                if signal.counts_per_unit is not None
            },
            ranges={
                role: signal.range
                for role, signal in self.signals.items()
                if signal.range is not None
            },
            excluded={
                role: tuple(signal.exclude)
                for role, signal in self.signals.items()
                if signal.exclude
            },
            cleaning=Cleaning(**self.cleaning.model_dump()),
            normalization=Normalization(**self.normalization.model_dump()),
            quality=QualityLimits(**self.quality.model_dump()),
            grid=Grid(**self.grid.model_dump()),
        )
