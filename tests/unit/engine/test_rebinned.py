"""A profile may average points over the bins of a step scan."""

import dataclasses

import numpy as np
import pytest

from xasnn_stream.engine.settings import Cleaning

from .conftest import E0, SETTINGS

QUICK = E0 + np.arange(-200.0, 450.0, 0.1)
"""A quick scan: many points in every bin."""
COPIES = 60


@pytest.fixture(scope="module")
def quick(sweep, absorption):
    """A function: a quick scan of a seed, with the foil's channel."""
    foil = absorption("bulk", QUICK)

    def make(seed):
        mu = absorption("to38", QUICK, noise=5e-3, seed=seed)
        channels = {"ir": 1e6 * np.exp(-mu - foil)}
        i0 = np.full(len(QUICK), 1e6)
        channels |= {"i0": i0, "it": 1e6 * np.exp(-mu)}
        return sweep(energy=QUICK, mu=mu, channels=channels)

    return make


@pytest.fixture(scope="module")
def rebinning(load, foil):
    return load(foil, cleaning=Cleaning(rebin=True))


@pytest.mark.usefixtures("one_scan")
def test_bins_are_said_and_their_noise_is_kept(load, foil, quick):
    # With e0 given the bins of all copies are the same.
    fixed = dataclasses.replace(SETTINGS.normalization, e0=E0 + 0.5)
    engine = load(foil, cleaning=Cleaning(rebin=True), normalization=fixed)
    found = engine.estimate([quick(seed) for seed in range(COPIES)])
    energy = found[0].arrays["energy"]
    assert found[0].quality.n_points == len(QUICK)
    assert found[0].quality.n_bins == len(energy) < len(QUICK) / 10
    high = (energy > E0 + 20) & (energy < E0 + 60)
    curves = np.array([e.arrays["mu_normalized"] for e in found])
    predicted = np.mean([e.descriptors["cn1"].std_noise for e in found])
    observed = np.std([e.descriptors["cn1"].value for e in found])
    # 60 values know their spread to 9 %, and cn1 is linear to first order.
    assert 0.75 < predicted / observed < 1.3
    # Bins grow with the energy, and their noise falls: its median is of bins of 2 eV.
    assert np.median(curves[:, high].std(0)) > 1.2 * found[0].quality.noise


def test_descriptors_are_those_of_the_points(engine, rebinning, quick):
    spectra = [quick(seed) for seed in range(8)]
    plain, binned = engine.estimate(spectra), rebinning.estimate(spectra)
    for one, other in zip(plain, binned, strict=True):
        assert other.novelty.score == pytest.approx(one.novelty.score, abs=0.15)
        for name, descriptor in one.descriptors.items():
            found = other.descriptors[name]
            assert found.value == pytest.approx(descriptor.value, abs=descriptor.std)
            assert found.std_noise == pytest.approx(descriptor.std_noise, rel=0.35)


def test_the_reference_channel_is_rebinned_too(engine, rebinning, quick):
    (plain,) = engine.estimate([quick(1)])
    (found,) = rebinning.estimate([quick(1)])
    # Bins begin and end with a point, so they are off by up to one point's distance.
    apart = found.quality.e0_shift_ev - plain.quality.e0_shift_ev
    assert abs(apart) < QUICK[1] - QUICK[0]


def test_a_gap_stays_a_gap(rebinning, quick):
    whole = quick(2)
    keep = (QUICK < E0 + 20) | (QUICK > E0 + 40)
    channels = {role: values[keep] for role, values in whole.channels.items()}
    cut = dataclasses.replace(whole, energy_ev=QUICK[keep], channels=channels)
    (found,) = rebinning.estimate([cut])
    assert "gap" in [reason.code for reason in found.reasons]


def test_without_the_key_there_are_no_bins(engine, sweep):
    (found,) = engine.estimate([sweep()])
    assert found.quality.n_bins == 0
    assert len(found.arrays["energy"]) == found.quality.n_points
