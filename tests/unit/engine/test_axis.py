"""The energy axis against the foil's, by the sweep's own reference channel."""

import dataclasses

import numpy as np
import pytest

from xasnn_stream.engine.settings import Cleaning

E0 = 11564.0
MOVED = 2.3


@pytest.fixture
def referenced(sweep, absorption):
    """A function: a sweep with a reference foil behind it, its axis moved by some eV."""

    def make(noise=1e-3, seed=0, moved=0.0):
        spectrum = sweep()
        it = spectrum.channels["it"]
        foil = absorption("bulk", noise=noise, seed=seed)
        channels = spectrum.channels | {"ir": it * np.exp(-foil)}
        energy = spectrum.energy_ev + moved
        return dataclasses.replace(spectrum, energy_ev=energy, channels=channels)

    return make


@pytest.mark.parametrize("noise", [1e-3, 1e-2])
def test_the_axis_is_known_as_well_as_is_said(engine, referenced, noise):
    spectra = [referenced(noise=noise, seed=seed) for seed in range(60)]
    found = [e.quality for e in engine.estimate(spectra)]
    shifts = np.array([q.e0_shift_ev for q in found])
    stds = np.array([q.e0_shift_std_ev for q in found])
    # Of 60 draws a standard deviation is known to 9 %.
    assert shifts.std() / stds.mean() == pytest.approx(1.0, abs=0.3)
    assert abs(shifts.mean()) < 4 * stds.mean() / np.sqrt(60) + 0.01


def test_energies_are_corrected_where_the_profile_says_so(load, foil, referenced):
    here, there = referenced(), referenced(moved=MOVED)
    reporting, applying = load(foil), load(foil, cleaning=Cleaning(align="apply"))
    (reported,) = reporting.estimate([there])
    first, applied = applying.estimate([here, there])
    shift = applied.quality.e0_shift_ev
    assert reported.quality.e0_shift_ev == pytest.approx(shift, rel=1e-12)
    assert reported.quality.axis_corrected is False
    assert applied.quality.axis_corrected is True
    assert applied.quality.e0_ev == reported.quality.e0_ev - shift
    np.testing.assert_allclose(
        applied.arrays["energy"], reported.arrays["energy"] - shift, atol=1e-9
    )
    assert applied.quality.e0_ev == pytest.approx(first.quality.e0_ev, abs=1e-6)
    for name, descriptor in reported.descriptors.items():
        value = applied.descriptors[name].value
        assert value == pytest.approx(descriptor.value, rel=1e-12)


def test_without_a_channel_nothing_is_known_of_the_axis(load, foil, sweep):
    (estimate,) = load(foil, cleaning=Cleaning(align="apply")).estimate([sweep()])
    quality = estimate.quality
    assert (quality.e0_shift_ev, quality.e0_shift_std_ev) == (None, None)
    assert quality.axis_corrected is False
    np.testing.assert_array_equal(estimate.arrays["energy"], sweep().energy_ev)
