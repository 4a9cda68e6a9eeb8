"""What every part of a profile shares: its base and the kinds of its values."""

import math
import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

_PATH = r"^[^.]+(\.[^.]+)*$"

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
Path = Annotated[StrictStr, Field(pattern=_PATH)]
ModelName = Annotated[
    StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(#[A-Z][a-z]?_(K|L[123]))?$")
]
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


Plain = Annotated[bool | int | float | str, BeforeValidator(_plain)]
Offset = Annotated[float | str, BeforeValidator(_number_or_path)]


class Section(BaseModel):
    """Base of all parts of a profile: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
