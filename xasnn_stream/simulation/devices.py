"""The simulated hardware: ophyd devices a plan can move, trigger and read.

Nothing here knows about absorption: what the chambers read comes from a `Photons`,
either a simulated beam or a recorded measurement.
"""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from ophyd import Component, Device, Signal
from ophyd.signal import InternalSignal
from ophyd.status import DeviceStatus

CHANNELS = ("i0", "it", "ir")
"""Ion chambers in beam order: before the sample, behind it, behind the foil."""

READBACK_ERROR_EV = 0.01
"""Rms difference of the encoder's reading and the energy asked for."""


class Photons(Protocol):
    """What the chambers see of the beam."""

    def expose(
        self, energy_ev: float, dwell_s: float, beam: bool
    ) -> Mapping[str, float]:
        """Return one reading per channel, in counts/s; `beam` is False in the dark."""
        ...


class _Reading(InternalSignal):
    """A read-only number with unit and precision in its description."""

    def __init__(self, *, unit: str, precision: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._unit, self._precision = unit, precision

    def describe(self) -> dict[str, Any]:
        """Return the data key, with `units` and `precision`."""
        description = super().describe()
        description[self.name].update(units=self._unit, precision=self._precision)
        return description


class EnergyAxis(Device):
    """The monochromator's energy, in eV: set a setpoint, read an encoder.

    The readback carries the device's own name (`mono_energy`), the setpoint is
    `<name>_setpoint`.
    """

    readback = Component(
        _Reading, value=0.0, unit="eV", precision=4, kind="hinted", name="readback"
    )
    setpoint = Component(Signal, value=0.0, kind="normal")

    def __init__(
        self,
        *,
        name: str = "mono_energy",
        readback_error_ev: float = READBACK_ERROR_EV,
        rng: np.random.Generator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.readback.name = name
        self._error = readback_error_ev
        self._rng = rng or np.random.default_rng()

    @property
    def position(self) -> float:
        """The encoder's reading, eV."""
        return float(cast("float", self.readback.get()))

    def set(self, energy_ev: float) -> DeviceStatus:
        """Move to an energy; done at once."""
        status = DeviceStatus(self)
        self.setpoint.put(float(energy_ev))
        error = self._rng.normal(0.0, self._error) if self._error else 0.0
        self.readback.put(float(energy_ev) + error, internal=True)
        status.set_finished()
        return status


class Shutter(Device):
    """The beam shutter: `open` is 1 or 0."""

    open = Component(Signal, value=1, kind="normal")


class IonChambers(Device):
    """Ion chambers on one electrometer, exposed together by one trigger.

    Data keys are plain `i0`, `it`, `ir` (counts/s); channels not in `read_attrs` are
    neither described nor read. `dwell` is the exposure in seconds, kept in simulated
    time: nothing waits for it.
    """

    i0 = Component(_Reading, value=0.0, unit="counts/s", precision=1, kind="hinted")
    it = Component(_Reading, value=0.0, unit="counts/s", precision=1, kind="hinted")
    ir = Component(_Reading, value=0.0, unit="counts/s", precision=1, kind="hinted")
    dwell = Component(Signal, value=1.0, kind="config")

    def __init__(
        self,
        *,
        energy: EnergyAxis,
        shutter: Shutter,
        photons: Photons,
        name: str = "ion_chambers",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        for channel in CHANNELS:
            getattr(self, channel).name = channel
        self._energy, self._shutter, self._photons = energy, shutter, photons

    def trigger(self) -> DeviceStatus:
        """Expose all chambers once; done at once."""
        status = DeviceStatus(self)
        beam = bool(self._shutter.open.get())
        dwell_s = float(cast("float", self.dwell.get()))
        readings = self._photons.expose(self._energy.position, dwell_s, beam)
        for channel in self.read_attrs:
            getattr(self, channel).put(float(readings[channel]), internal=True)
        status.set_finished()
        return status
