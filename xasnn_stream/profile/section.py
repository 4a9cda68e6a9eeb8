"""What every part of a profile shares: its base and the kinds of its values."""

import math
import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    model_validator,
)

from xasnn_stream.assembly.settings import Quantity

_PATH = r"^[^.]+(\.[^.]+)*$"

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Path = Annotated[StrictStr, Field(pattern=_PATH)]
Key = Annotated[StrictStr, Field(min_length=1)]
ModelName = Annotated[
    StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(#[A-Z][a-z]?_(K|L[123]))?$")
]
Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Section(BaseModel):
    """Base of all parts of a profile: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class QuantityModel(Section):
    """A number of the start document, or of the configuration in a descriptor."""

    path: Path | None = Field(
        default=None,
        description="dotted path in the start document, or after descriptor. in the "
        "configuration of the stream",
    )
    paths: list[Path] = Field(
        default=[],
        description="instead of path, several; the first with a number wins",
    )
    default: Number | None = Field(
        default=None,
        description="used if no path has a number; else 0: of a dark level with a doubt, "
        "and in an energy law no energies",
    )
    factor: Number = Field(
        default=1.0, description="what a number that was found is multiplied by"
    )

    @model_validator(mode="after")
    def _finds_something(self) -> "QuantityModel":
        if self.path is not None and self.paths:
            raise ValueError("needs path or paths, not both")
        if self.default is None and not self.found_at:
            raise ValueError("needs path, paths or a default")
        return self

    @property
    def found_at(self) -> tuple[str, ...]:
        """The dotted paths."""
        return tuple(self.paths) if self.path is None else (self.path,)

    def settings(self, ratio: float = 1.0, absent: float = 0.0) -> Quantity:
        """Return the quantity as plain data, in a unit that is 1/`ratio` of its own.

        `absent` is its value where no path has a number and no default is given.
        """
        default = absent if self.default is None else self.default * ratio
        return Quantity(self.found_at, default, self.factor * ratio)


def _plain(value: object) -> object:
    if isinstance(value, str | int | float | bool):
        return value
    raise ValueError(f"must be a text, a number, true or false, not {value!r}")


def _quantity(value: Any) -> Any:
    """Return the long form of a number or a dotted path."""
    if isinstance(value, dict | QuantityModel):
        return value  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(
            f"must be a number or a dotted path, or a section of paths, not {value!r}"
        )
    if isinstance(value, str):
        if not re.fullmatch(_PATH, value):
            raise ValueError(f"{value!r} is no dotted path")
        return {"path": value}
    if not math.isfinite(value):
        raise ValueError(f"must be finite, not {value}")
    return {"default": value}


Plain = Annotated[bool | int | float | str, BeforeValidator(_plain)]
Quantitative = Annotated[
    QuantityModel,
    BeforeValidator(_quantity, json_schema_input_type=float | str | QuantityModel),
]
"""A number, its dotted path, or a section that says more."""
