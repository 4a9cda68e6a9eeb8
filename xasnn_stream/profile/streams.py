"""The parts of a profile that say which streams there are, and how they are cut."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, cast

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from xasnn_stream.assembly.decoders import DECODERS
from xasnn_stream.assembly.settings import Clock, Segment, Stream
from xasnn_stream.profile.hints import hint
from xasnn_stream.profile.section import Key, Name, NotNegative, Path, Positive, Section

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SEGMENT = Segment()
_SLIP = 0.85
"""Names so near are one and a slip of it; `encoder_monitor` is none of `encoder`."""

Count = Annotated[StrictInt, Field(ge=0)]


class EdgesModel(Section):
    """Frames without times of their own: frame i belongs to pulse i."""

    pulses: Name = Field(
        alias="from",
        description="stream of the pulses, with columns timestamp and transition",
    )
    at: Literal["rise", "mid", "fall"] = Field(
        default="mid", description="when in the pulse the frame counts as taken"
    )


class ClockModel(Section):
    """When the rows of a stream were taken."""

    column: Key | None = Field(default=None, description="column of times")
    split: tuple[Key, Key] | None = Field(
        default=None, description="columns of whole seconds and of their fraction"
    )
    trigger_edges: EdgesModel | None = Field(
        default=None, description="the times are those of a stream of pulses"
    )
    unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None,
        description="unit of the times in column or of the pulses (else s), or of the "
        "fraction of split (else ns)",
    )
    epoch: StrictBool = Field(
        default=True, description="times are epoch seconds, else since the run's start"
    )

    @model_validator(mode="after")
    def _has_one_kind(self) -> "ClockModel":
        kinds = (self.column, self.split, self.trigger_edges)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("needs one of column, split or trigger_edges")
        return self

    def settings(self) -> Clock:
        """Return the clock as plain data."""
        if self.trigger_edges is not None:
            return Clock(
                "edges",
                pulses=self.trigger_edges.pulses,
                at=self.trigger_edges.at,
                unit_s=_SECONDS[self.unit or "s"],
                epoch=self.epoch,
            )
        if self.split is not None:
            whole, fraction = self.split
            unit_s = _SECONDS[self.unit or "ns"]
            return Clock("split", whole, fraction, unit_s, epoch=self.epoch)
        unit_s = _SECONDS[self.unit or "s"]
        return Clock("column", self.column or "", unit_s=unit_s, epoch=self.epoch)


class NamesModel(Section):
    """A stream whose name differs from run to run."""

    by: Path = Field(description="dotted path of a text in the start document")
    values: Mapping[StrictStr, Key] = Field(
        min_length=1, description="the stream's name by that text"
    )
    default: Key | None = Field(
        default=None, description="the stream's name for any other text"
    )


class StreamModel(Section):
    """A stream of documents; signals and energy name it by its key here."""

    stream: Key | NamesModel = Field(
        description="its name in the run, or by a text of the start document"
    )
    decoder: Key | None = Field(
        default=None,
        description="decoder of its files; else that of their spec or mimetype",
    )
    clock: ClockModel | None = Field(
        default=None,
        description="when its rows were taken; else rows of all streams belong together "
        "by number",
    )
    optional: StrictBool = Field(default=False, description="a run may be without it")

    @field_validator("stream", mode="wrap")
    @classmethod
    def _is_one_of_both(cls, value: Any, _handler: Any) -> str | NamesModel:
        # A union would list the mistakes of both forms.
        if isinstance(value, dict | NamesModel):
            return NamesModel.model_validate(value)
        if not isinstance(value, str) or not value:
            raise ValueError(f"must be a name, or by and values, not {value!r}")
        return value

    @field_validator("decoder")
    @classmethod
    def _is_known(cls, decoder: str | None) -> str | None:
        if decoder is not None and decoder not in DECODERS:
            known = ", ".join(DECODERS)
            raise ValueError(
                f"there is no decoder {decoder!r}{hint(decoder, list(DECODERS))}; "
                f"there are {known}"
            )
        return decoder

    def settings(self) -> Stream:
        """Return the stream as plain data."""
        clock = self.clock.settings() if self.clock is not None else Clock()
        plain = Stream(
            self.stream if isinstance(self.stream, str) else self.stream.default or "",
            decoder=self.decoder,
            clock=clock,
            optional=self.optional,
        )
        if isinstance(self.stream, str):
            return plain
        return replace(plain, by=self.stream.by, names=dict(self.stream.values))


class SegmentModel(Section):
    """How the rows of a run become sweeps."""

    kind: Literal["per_run", "per_event", "turning_points", "fixed_count"] = Field(
        default=_SEGMENT.kind,
        description="a run is a sweep, or each of its events (arrays), or each way "
        "between two turning points of the energy, or so many rows",
    )
    direction: Literal["both", "up", "down"] = Field(
        default=_SEGMENT.direction, description="which sweeps are kept"
    )
    points: Count = Field(
        default=_SEGMENT.points, description="rows of a sweep, for fixed_count"
    )
    min_points: Annotated[StrictInt, Field(ge=2)] = Field(
        default=_SEGMENT.min_points,
        description="fewer rows at the ends of a run are no sweep",
    )
    min_span_ev: NotNegative = Field(
        default=_SEGMENT.min_span_ev,
        description="rows at the ends of a run that span less are no sweep (eV)",
    )
    hysteresis_ev: Positive = Field(
        default=_SEGMENT.hysteresis_ev,
        description="a turn is one when the energy went back by more than this (eV)",
    )
    trim_ev: NotNegative = Field(
        default=_SEGMENT.trim_ev,
        description="rows so near a turning point are left out (eV)",
    )
    drop_first: Count = Field(
        default=_SEGMENT.drop_first, description="first rows of a sweep to leave out"
    )
    drop_last: Count = Field(
        default=_SEGMENT.drop_last, description="last rows of a sweep to leave out"
    )

    @model_validator(mode="after")
    def _counts_if_it_must(self) -> "SegmentModel":
        if self.kind == "fixed_count" and self.points < 2:
            raise ValueError("fixed_count needs points, 2 or more")
        return self

    def settings(self) -> Segment:
        """Return the segmentation as plain data."""
        return Segment(**self.model_dump())


def unknown_streams(values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each stream that `values`, a profile as read, does not have.

    Looks at the values by themselves, so that nothing else that is wrong hides it.
    """
    streams, energy, signals = (
        _section(values, key) for key in ("streams", "energy", "signals")
    )
    if not streams:
        return []
    named = {"energy.stream": energy.get("stream", "primary")}
    for role in signals:
        named[f"signals.{role}.stream"] = _section(signals, role).get("stream")
    for name in streams:
        clock = _section(_section(streams, name), "clock")
        pulses = _section(clock, "trigger_edges").get("from")
        named[f"streams.{name}.clock"] = pulses
    known = list(map(str, streams))
    return [
        f"{place}: {stream!r} is none of streams: {', '.join(known)}"
        for place, stream in named.items()
        if isinstance(stream, str) and stream not in streams
    ] + _misspelt(_section(values, "conditions"), known)


def _misspelt(conditions: Mapping[Any, Any], known: list[str]) -> list[str]:
    """Return a sentence for each condition's stream that is almost one of the profile.

    Others are streams of the run, which a condition may name as they are.
    """
    found: list[str] = []
    for name in conditions:
        stream = _section(conditions, name).get("stream")
        if not isinstance(stream, str) or stream in known:
            continue
        if near := hint(stream, known, _SLIP):
            found.append(
                f"conditions.{name}.stream: {stream!r} is none of streams{near}; if a "
                "stream of the run has this name, give it in streams as well"
            )
    return found


def _section(values: Mapping[Any, Any], key: Any) -> Mapping[Any, Any]:
    value = values.get(key)
    return cast(Mapping[Any, Any], value) if isinstance(value, Mapping) else {}
