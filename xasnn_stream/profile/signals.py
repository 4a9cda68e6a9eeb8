"""The part of a profile that says which columns are the channels, and what they read."""

import math
import re
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, field_validator, model_validator

from xasnn_stream.assembly.settings import Signal
from xasnn_stream.profile.section import (
    Key,
    Name,
    NotNegative,
    Path,
    Positive,
    Quantitative,
    Section,
)

Unit = Literal["counts", "V", "mV", "uV", "A", "mA", "uA", "nA", "pA"]

_DECADES = {"": 0, "m": -3, "u": -6, "n": -9, "p": -12}
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")


class RangeModel(Section):
    """Where a detector can be trusted, by the size of its raw readings."""

    above: Positive | None = Field(
        default=None, description="a reading above this is saturated"
    )
    below: NotNegative | None = Field(
        default=None, description="a reading below this is too weak"
    )
    unit: Unit | None = Field(
        default=None, description="unit of both; else that of the reading"
    )

    @model_validator(mode="after")
    def _is_in_order(self) -> "RangeModel":
        if self.above is None and self.below is None:
            raise ValueError("needs above, below, or both")
        if (self.below or 0.0) >= (self.above or float("inf")):
            raise ValueError(f"below ({self.below}) must be less than above")
        return self


class SignalModel(Section):
    """One channel: a reading r is (r - offset) * polarity / 10^gain_log10 in its unit."""

    stream: Name | None = Field(
        default=None, description="stream of the channel; else that of the energy"
    )
    key: Key | None = Field(
        default=None,
        description="column of the channel; {element} stands for the run's element",
    )
    keys: list[Key] = Field(
        default=[],
        description="instead of key, columns of a detector's elements",
    )
    keys_from: Path | None = Field(
        default=None,
        description="dotted path of a list of columns in the start document, for runs "
        "that have one; key or keys are for the others",
    )
    elements: list[Annotated[StrictInt, Field(ge=0)]] = Field(
        default=[],
        description="numbers of the detector's elements, for {n} in key",
    )
    exclude: list[Annotated[StrictInt, Field(ge=0)]] = Field(
        default=[],
        description="elements of the detector to leave out, counted from 0",
    )
    expression: Key | None = Field(
        default=None,
        description="instead of key, a formula of columns: names or {names in braces} "
        "with + - * / and numbers",
    )
    offset: Quantitative = Field(
        default_factory=lambda: {"default": 0.0},
        validate_default=True,
        description="dark level, or its dotted path in the start document, or after "
        "descriptor. in the configuration of the stream",
    )
    offset_unit: Unit | None = Field(
        default=None, description="unit of offset; else that of the reading"
    )
    gain_log10: Quantitative = Field(
        default_factory=lambda: {"default": 0.0},
        validate_default=True,
        description="decades of the amplifier's gain (V/A), or its dotted path",
    )
    unit: Unit | None = Field(
        default=None,
        description="unit of the reading, turned into V, A or counts; else it is taken "
        "as it is",
    )
    polarity: Literal[-1, 1] = Field(
        default=1, description="-1 where more light makes a lower reading"
    )
    saturation: RangeModel | None = Field(
        default=None, description="where the detector can be trusted; else everywhere"
    )
    optional: StrictBool = Field(
        default=False, description="a sweep without it is usable"
    )
    counts_per_unit: Positive | None = Field(
        default=None,
        description="counts, or photons, in one unit of the reading; noise is then that "
        "of counting, else read from the spectrum",
    )

    @field_validator("expression")
    @classmethod
    def _is_a_formula(cls, expression: str | None) -> str | None:
        from xasnn_stream.assembly.signals import columns_in

        if expression is not None and not columns_in(expression):
            raise ValueError(f"{expression!r} names no column")
        return expression

    @model_validator(mode="after")
    def _has_one_kind_of_key(self) -> "SignalModel":
        kinds = (self.key is not None, bool(self.keys), self.expression is not None)
        if sum(kinds) != 1:
            raise ValueError(
                "needs key, or keys of a detector's elements, or expression"
            )
        if self.expression is not None and self.keys_from is not None:
            raise ValueError("keys_from goes with key or keys, not with expression")
        if self.expression is not None and self.exclude:
            raise ValueError("exclude goes with key or keys, not with expression")
        return self

    @model_validator(mode="after")
    def _leaves_an_element(self) -> "SignalModel":
        there = len(self.columns)
        # Of one column, and of a list in the run, only runs tell how many there are.
        if there < 2 or self.keys_from is not None:
            return self
        absent = sorted(n for n in set(self.exclude) if n >= there)
        if absent:
            raise ValueError(
                f"exclude {', '.join(map(str, absent))}: there are {there} elements, "
                "counted from 0"
            )
        if len(set(self.exclude)) == there:
            raise ValueError("exclude leaves no element")
        return self

    @model_validator(mode="after")
    def _fills_its_braces(self) -> "SignalModel":
        numbered = "{n}" in (self.key or "")
        if numbered != bool(self.elements):
            raise ValueError("elements and a key with {n} need one another")
        known = ("{element}", "{n}") if numbered else ("{element}",)
        for key in (self.key or "", *self.keys):
            for found in _BRACES.findall(key):
                if found not in known:
                    raise ValueError(f"{key!r}: {found} is not {' or '.join(known)}")
        return self

    @model_validator(mode="after")
    def _has_units_of_one_kind(self) -> "SignalModel":
        for name, unit in (
            ("offset_unit", self.offset_unit),
            ("saturation.unit", self.saturation.unit if self.saturation else None),
        ):
            if unit is not None and _quality(unit) != _quality(self.unit):
                raise ValueError(
                    f"{name} {unit} is no unit of a reading in {self.unit}"
                )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of all elements, those to leave out among them."""
        if self.expression is not None:
            return (self.expression,)
        if self.elements:
            return tuple(str(self.key).replace("{n}", str(n)) for n in self.elements)
        return tuple(self.keys) if self.key is None else (self.key,)

    @property
    def range(self) -> tuple[float, float] | None:
        """The sizes of raw readings, in their unit, that can be trusted."""
        if self.saturation is None:
            return None
        limits = self.saturation
        ratio = self._ratio(limits.unit)
        above = float("inf") if limits.above is None else limits.above * ratio
        return (limits.below or 0.0) * ratio, above

    def settings(self) -> Signal:
        """Return the signal as plain data."""
        first, *more = self.columns
        return Signal(
            first,
            self.offset.settings(self._ratio(self.offset_unit), absent=math.nan),
            self.optional,
            tuple(more),
            stream=self.stream or "",
            keys_from=self.keys_from or "",
            exclude=tuple(self.exclude),
            expression=self.expression or "",
            scale=self.polarity * 10.0 ** _decades(self.unit),
            gain_log10=self.gain_log10.settings(),
        )

    def _ratio(self, unit: str | None) -> float:
        """Return how many units of the reading are in `unit`."""
        return 1.0 if unit is None else 10.0 ** (_decades(unit) - _decades(self.unit))


def _decades(unit: str | None) -> int:
    """Return the decimal exponent of a unit in V, A or counts."""
    return 0 if unit in (None, "counts") else _DECADES[unit[:-1]]


def _quality(unit: str | None) -> str | None:
    return unit if unit in (None, "counts") else unit[-1]
