import numpy as np
import pytest
from ophyd.signal import InternalSignalError

from xasnn_stream.simulation.beamline import build_station


class Steady:
    """One reading per channel, ten times smaller in the dark."""

    def expose(self, energy_ev, dwell_s, beam):
        level = energy_ev * (1.0 if beam else 0.1)
        return {"i0": level, "it": level / 2, "ir": level / dwell_s}


def test_data_keys_are_plain_and_described_with_units():
    station = build_station(Steady())

    keys = {**station.energy.describe(), **station.chambers.describe()}

    assert set(keys) == {"mono_energy", "mono_energy_setpoint", "i0", "it", "ir"}
    assert keys["mono_energy"]["units"] == "eV"
    assert keys["i0"]["units"] == "counts/s"
    assert all(key["dtype"] == "number" and key["shape"] == [] for key in keys.values())


def test_the_readback_scatters_about_the_setpoint():
    axis = build_station(Steady(), rng=np.random.default_rng(1)).energy
    errors = []
    for _ in range(400):
        axis.set(11564.0).wait(timeout=1)
        errors.append(axis.read()["mono_energy"]["value"] - 11564.0)

    assert axis.read()["mono_energy_setpoint"]["value"] == 11564.0
    # 400 draws know their standard deviation to 3.5 %.
    assert np.std(errors) == pytest.approx(0.01, rel=0.15)


def test_one_trigger_exposes_all_chambers_with_shutter_and_dwell():
    station = build_station(Steady(), readback_error_ev=0.0)
    station.energy.set(1000.0)
    station.chambers.dwell.put(0.5)
    station.chambers.trigger().wait(timeout=1)
    lit = {name: item["value"] for name, item in station.chambers.read().items()}
    station.shutter.open.put(0)
    station.chambers.trigger().wait(timeout=1)
    dark = {name: item["value"] for name, item in station.chambers.read().items()}

    assert lit == {"i0": 1000.0, "it": 500.0, "ir": 2000.0}
    assert dark == {"i0": 100.0, "it": 50.0, "ir": 200.0}


def test_channels_that_are_not_there_are_not_described():
    station = build_station(Steady(), channels=("i0", "it"))

    assert set(station.chambers.describe()) == {"i0", "it"}
    assert set(station.chambers.read()) == {"i0", "it"}


def test_a_reading_cannot_be_set_from_outside():
    with pytest.raises(InternalSignalError):
        build_station(Steady()).chambers.i0.put(1.0)
