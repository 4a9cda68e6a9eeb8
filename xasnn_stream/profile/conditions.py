"""The part of a profile that says which numbers travel with every sweep."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from xasnn_stream.assembly.settings import Condition, Quantity
from xasnn_stream.profile.section import Key, Name, Path, Section

_KELVIN_AT_0_DEGC = 273.15


class ConditionModel(Section):
    """A number of the start document, or of a stream that is read beside the sweeps."""

    paths: list[Path] = Field(
        default=[],
        description="dotted paths in the start document; the first with a number wins",
    )
    stream: Name | None = Field(
        default=None,
        description="instead of paths, a stream: a baseline, a monitor, or that of the "
        "sweep",
    )
    key: Key | None = Field(default=None, description="column of that stream")
    interp: Literal["linear", "hold"] = Field(
        default="linear",
        description="value between two readings: on the line, or that of the earlier",
    )
    unit: Literal["K", "degC"] | None = Field(
        default=None,
        description="unit of a temperature, which is turned into K; else the number "
        "is taken as it is",
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> "ConditionModel":
        if bool(self.paths) == (self.stream is not None):
            raise ValueError("needs paths, or stream and key")
        if (self.stream is None) != (self.key is None):
            raise ValueError("stream and key need one another")
        return self

    def settings(self) -> Condition:
        """Return the condition as plain data."""
        return Condition(
            source=Quantity(tuple(self.paths)) if self.paths else None,
            stream=self.stream or "",
            key=self.key or "",
            interp=self.interp,
            zero=_KELVIN_AT_0_DEGC if self.unit == "degC" else 0.0,
        )


def _condition(value: Any) -> Any:
    """Return the long form of a dotted path."""
    if isinstance(value, str):
        return {"paths": [value]}
    if not isinstance(value, dict | ConditionModel):
        raise ValueError(f"must be a dotted path, or a section, not {value!r}")
    return value  # pyright: ignore[reportUnknownVariableType]


Conditional = Annotated[
    ConditionModel,
    BeforeValidator(_condition, json_schema_input_type=str | ConditionModel),
]
"""A dotted path in the start document, or a section that says more."""
