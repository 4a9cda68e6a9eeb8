"""A profile may have noise taken from curves; what values are uncertain by stays."""

from typing import get_args

import numpy as np
import pytest
import torch

from xasnn_stream.engine.settings import Cleaning
from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.table import DENOISERS
from xasnn_stream.physics.settings import Denoising


def test_a_profile_may_name_every_denoiser():
    assert set(get_args(Denoising)) == set(DENOISERS)


def test_a_denoised_curve_is_smoother_and_as_uncertain_as_measured(
    load, foil, sweep, absorption
):
    spectrum = sweep(mu=absorption("to38", noise=2e-3, seed=4))
    (plain,) = load(foil).estimate([spectrum])
    denoising = load(foil, cleaning=Cleaning(denoise="whittaker"))
    (estimate,) = denoising.estimate([spectrum])
    rough, smooth = (
        np.diff(e.arrays["mu_normalized"][-100:], 2).std() for e in (plain, estimate)
    )
    assert smooth < 0.5 * rough
    assert estimate.quality.noise == pytest.approx(plain.quality.noise, rel=0.05)
    for name, descriptor in plain.descriptors.items():
        found = estimate.descriptors[name]
        assert found.std_noise == pytest.approx(descriptor.std_noise, rel=0.15)
        assert found.value == pytest.approx(descriptor.value, abs=descriptor.std)


def test_e0_is_of_the_curve_before_it_was_denoised(
    load, foil, sweep, absorption, monkeypatch
):
    def moving_the_edge(energy, mu, valid, noise, e0):
        return Denoised(torch.cat((mu[:, :1].expand(-1, 4), mu[:, :-4]), -1), None)

    monkeypatch.setitem(DENOISERS, "whittaker", moving_the_edge)
    spectrum = sweep(mu=absorption("to38", noise=2e-3, seed=4))
    (plain,) = load(foil).estimate([spectrum])
    (moved,) = load(foil, cleaning=Cleaning(denoise="whittaker")).estimate([spectrum])
    assert moved.quality.e0_ev == plain.quality.e0_ev
    assert moved.arrays["mu_normalized"] != pytest.approx(plain.arrays["mu_normalized"])
