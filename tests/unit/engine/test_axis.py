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


@pytest.mark.parametrize("at", [0.0, 4.0, 60.0])
@pytest.mark.parametrize("deployed", [True, False])
def test_a_glitch_of_the_channel_moves_neither_the_axis_nor_the_foil(
    load, foil, referenced, at, deployed
):
    clean = referenced()
    spoilt = clean.channels["ir"].copy()
    place = abs(clean.energy_ev - E0 - at).argmin()
    spoilt[place] *= 0.5
    channels = {**clean.channels, "ir": spoilt}
    glitched = dataclasses.replace(clean, channels=channels)
    engine = load(foil if deployed else None)
    one, other = engine.estimate([clean, glitched])
    assert other.masked_ev == (clean.energy_ev[place],)
    assert (other.verdict, other.reasons) == (one.verdict, one.reasons)
    if deployed:
        assert abs(other.quality.e0_shift_ev - one.quality.e0_shift_ev) < 0.02
    for name, descriptor in one.descriptors.items():
        low, high = descriptor.interval
        tolerance = 0.15 * (high - low) / 2
        value = other.descriptors[name].value
        assert value == pytest.approx(descriptor.value, abs=tolerance)


def test_a_channel_without_the_edge_leaves_nothing_out(engine, referenced):
    clean = referenced()
    noise = 1e5 * (1 + np.random.default_rng(1).pareto(2.0, len(clean.energy_ev)))
    channels = {**clean.channels, "ir": noise}
    one, other = engine.estimate([clean, dataclasses.replace(clean, channels=channels)])
    assert other.quality.n_masked == one.quality.n_masked == 0


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
