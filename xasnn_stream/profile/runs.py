"""The parts of a profile that say which runs are meant, and what is where in them."""

import re
from typing import Annotated, Literal

from pydantic import (
    Field,
    StrictBool,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from xasnn_stream.assembly.settings import Lookup, Quantity, Rule, Signal
from xasnn_stream.edges import EDGES, ELEMENTS
from xasnn_stream.profile.section import Offset, Path, Plain, Positive, Section

Key = Annotated[StrictStr, Field(min_length=1)]


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


def quantity_of(value: float | str) -> Quantity:
    """Return a number, or the dotted path of one, as plain data."""
    return Quantity((value,)) if isinstance(value, str) else Quantity(default=value)


class SignalModel(Section):
    """One channel, in the same events as the energy."""

    key: StrictStr | None = Field(
        default=None, min_length=1, description="data key of the channel"
    )
    keys: list[Key] = Field(
        default=[],
        description="instead of key, data keys of a detector's elements",
    )
    offset: Offset = Field(
        default=0.0,
        description="dark level in the channel's unit, or its dotted path in the start "
        "document",
    )
    optional: StrictBool = Field(
        default=False, description="a sweep without it is usable"
    )
    counts_per_unit: Positive | None = Field(
        default=None,
        description="counts, or photons, in one unit of the reading; noise is then that "
        "of counting, else read from the spectrum",
    )

    @model_validator(mode="after")
    def _has_one_kind_of_key(self) -> "SignalModel":
        if (self.key is None) == (not self.keys):
            raise ValueError("needs key, or keys of a detector's elements")
        return self

    def settings(self) -> Signal:
        """Return the signal as plain data."""
        first, *more = [self.key] if self.key is not None else self.keys
        return Signal(first, quantity_of(self.offset), self.optional, tuple(more))
