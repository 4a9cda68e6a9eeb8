"""The part of a profile that says where energies come from."""

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from xasnn_stream.assembly.settings import Bragg, Energy, Quantity
from xasnn_stream.profile.section import (
    Key,
    Name,
    Positive,
    Quantitative,
    QuantityModel,
    Section,
)

_BRAGG = Bragg(Quantity(), Quantity())


class EnergyModel(Section):
    """The energy axis."""

    kind: Literal["column", "bragg", "array"] = Field(
        default="column",
        description="a column of energies, that of an encoder read by Bragg's law, or "
        "one array in a stream of its own for every sweep",
    )
    key: Key = Field(description="column of the energies or counts: of the readback")
    stream: Name = Field(
        default="primary", description="stream of the energies; of signals as well"
    )
    unit: Literal["eV", "keV"] = Field(
        default="eV", description="unit of a column or array"
    )
    pulses_per_deg: Quantitative | None = Field(
        default=None, description="bragg: counts of the encoder per degree"
    )
    d_spacing: Quantitative | None = Field(
        default=None, description="bragg: spacing of the planes (angstrom)"
    )
    hc: Positive = Field(
        default=_BRAGG.hc,
        description="bragg: product of the constants (eV angstrom); belongs together "
        "with d_spacing and offset",
    )
    offset: Quantitative = Field(
        default_factory=lambda: _ZERO,
        validate_default=True,
        description="bragg: added to the angle (degrees)",
    )
    count_fold: Literal["none", "xor24"] = Field(
        default=_BRAGG.fold,
        description="bragg: how counts become signed; xor24 for an unsigned 24-bit "
        "encoder whose positive counts c are c - 2^24",
    )
    sign: Literal[-1, 1] = Field(
        default=1, description="bragg: the angle grows (1) or falls (-1) with the count"
    )

    @field_validator("pulses_per_deg", "d_spacing")
    @classmethod
    def _is_not_zero(cls, value: QuantityModel | None) -> QuantityModel | None:
        if value is not None and value.default == 0:
            raise ValueError("cannot be 0")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> "EnergyModel":
        law = self.pulses_per_deg is not None and self.d_spacing is not None
        if self.kind == "bragg" and not law:
            raise ValueError("bragg needs pulses_per_deg and d_spacing")
        if self.kind == "bragg" and self.unit != "eV":
            raise ValueError(
                f"unit {self.unit} is that of a column or array; bragg makes eV"
            )
        # A site profile that says kind: column may inherit the rest of a law.
        if "kind" not in self.model_fields_set and self.pulses_per_deg is not None:
            raise ValueError("pulses_per_deg is of use only with kind: bragg")
        return self

    def settings(self) -> Energy:
        """Return the energy axis as plain data."""
        bragg = None
        if self.kind == "bragg" and self.pulses_per_deg and self.d_spacing:
            bragg = Bragg(
                # A law with a constant less gives energies that look like any other.
                counts_per_degree=self.pulses_per_deg.settings(absent=math.nan),
                d_spacing=self.d_spacing.settings(absent=math.nan),
                hc=self.hc,
                offset_deg=self.offset.settings(absent=math.nan),
                fold=self.count_fold,
                sign=float(self.sign),
            )
        shared = self.kind == "array"
        return Energy(self.key, self.stream, self.unit, bragg, shared)


_ZERO = {"default": 0.0}
