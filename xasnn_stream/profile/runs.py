"""The parts of a profile that say which runs are meant, and what is where in them."""

import re

from pydantic import (
    Field,
    StrictBool,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from xasnn_stream.assembly.settings import Lookup, Rule
from xasnn_stream.edges import EDGES, ELEMENTS
from xasnn_stream.engine.intake import ROLES
from xasnn_stream.profile.section import Path, Plain, Section


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
        return _compiled(regex)

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
    regex: StrictStr | None = Field(
        default=None,
        description="what to take of a text, which this must match as a whole: the "
        "group of it, such as L3 of Pt_L3 by [A-Za-z]+_(.*)",
    )
    values: dict[StrictStr, StrictStr] | None = Field(
        default=None,
        min_length=1,
        description="what texts mean here; others count as absent",
    )

    @field_validator("regex")
    @classmethod
    def _takes_a_part(cls, regex: str | None) -> str | None:
        if regex is not None and re.compile(_compiled(regex) or "").groups != 1:
            raise ValueError(f"{regex!r} needs one group: the part to take")
        return regex

    @model_validator(mode="after")
    def _finds_something(self) -> "LookupModel":
        if not self.paths and self.default is None:
            raise ValueError("needs paths, a default, or both")
        return self

    def settings(self) -> Lookup:
        """Return the lookup as plain data."""
        return Lookup(tuple(self.paths), self.default, self.regex, self.values)


def _compiled(regex: str | None) -> str | None:
    try:
        re.compile(regex or "")
    except re.error as error:
        raise ValueError(f"{regex!r} is no regular expression: {error}") from None
    return regex


class MetadataModel(Section):
    """What the start document says about the sample and the measurement."""

    element: LookupModel = Field(description="absorbing element, such as Pt")
    edge: LookupModel = Field(description="absorption edge, such as L3")
    sample: LookupModel | None = Field(default=None, description="name of the sample")
    mode: LookupModel | None = Field(
        default=None,
        description="how a run was measured, transmission or fluorescence: a run that "
        "says another is rejected, for one that does not say the profile's mode counts",
    )
    e0: LookupModel | None = Field(
        default=None,
        description="where the run says its edge is (eV): far from the table is told "
        "with the estimate",
    )

    @field_validator("element", "edge", "mode")
    @classmethod
    def _is_known(
        cls, lookup: LookupModel | None, info: ValidationInfo
    ) -> LookupModel | None:
        if lookup is None:
            return None
        field = str(info.field_name)
        known = {"element": ELEMENTS, "edge": EDGES, "mode": ROLES}[field]
        named = [lookup.default, *(lookup.values or {}).values()]
        for text in named:
            if text is not None and text not in known:
                raise ValueError(f"{text!r} is no {field}")
        return lookup
