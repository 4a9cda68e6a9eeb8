"""Variances of counting against many draws of counts."""

import pytest
import torch

from xasnn_stream.physics.noise.counting import (
    counted,
    covariance_of_yield,
    covariance_with_reference,
    difference,
    fluorescence,
    transmission,
)

DRAWS = 20000
SCATTER = 5 * (2 / DRAWS) ** 0.5
"""Five standard errors of a variance estimated from so many draws, relative."""

I0, IT, IR = 40000.0, 9000.0, 2500.0
PER_UNIT = 1e6
"""Counts in one volt of the amplifier."""


def poisson(mean, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((DRAWS, 1), mean).double(), generator=generator)


def test_readings_in_volts_have_the_variance_of_their_photons():
    of = counted(poisson(IT, 1) / PER_UNIT, PER_UNIT)
    assert of.value.var().item() == pytest.approx(IT / PER_UNIT**2, rel=SCATTER)
    assert of.variance.mean().item() == pytest.approx(IT / PER_UNIT**2, rel=0.01)
    assert of.std[0].item() == pytest.approx(of.variance[0].sqrt().item(), rel=1e-12)


def test_a_dark_current_adds_its_own_counts_and_the_error_of_its_measurement():
    dark, seconds = 3000.0, 4.0
    measured = poisson(dark * seconds, 2) / seconds
    of = counted(poisson(IT + dark, 3), 1.0, measured, measured / seconds)
    assert of.value.mean().item() == pytest.approx(IT, rel=1e-3)
    assert of.variance.mean().item() == pytest.approx(
        of.value.var().item(), rel=SCATTER
    )


def test_dead_time_correction_multiplies_value_and_error_alike():
    factor = 1.35
    of = counted(poisson(IT, 4), 1.0, factor=factor)
    assert of.value.mean().item() == pytest.approx(factor * IT, rel=1e-3)
    assert of.variance.mean().item() == pytest.approx(
        of.value.var().item(), rel=SCATTER
    )


def test_negative_readings_count_nothing():
    of = counted(torch.tensor([[-5.0]]), 1.0, dark=-2.0, dark_variance=0.25)
    assert of.value.item() == -3.0
    assert of.variance.item() == 0.25


def test_transmission_and_its_reference_share_the_middle_chamber():
    i0, it, ir = (
        counted(poisson(mean, seed), 1.0) for mean, seed in ((I0, 5), (IT, 6), (IR, 7))
    )
    mu, reference = transmission(i0, it), transmission(it, ir)
    assert mu.variance.mean().item() == pytest.approx(1 / I0 + 1 / IT, rel=0.01)
    assert mu.value.var().item() == pytest.approx(1 / I0 + 1 / IT, rel=SCATTER)
    covariance = covariance_with_reference(it)
    observed = torch.cov(torch.stack((mu.value[:, 0], reference.value[:, 0])))[0, 1]
    # A covariance scatters with the two variances, which here are some times larger.
    assert covariance.mean().item() == pytest.approx(observed.item(), rel=3 * SCATTER)
    apart = difference(mu, reference, covariance)
    assert apart.variance.mean().item() == pytest.approx(
        apart.value.var().item(), rel=SCATTER
    )


def test_fluorescence_adds_up_the_channels_in_use():
    i0 = counted(poisson(I0, 8), 1.0)
    means = (400.0, 700.0, 900.0)
    readings = torch.stack([poisson(mean, 9 + i) for i, mean in enumerate(means)], -1)
    used = torch.tensor([True, False, True])
    of = fluorescence(i0, counted(readings, 1.0), used)
    total = means[0] + means[2]
    assert of.value.mean().item() == pytest.approx(total / I0, rel=2e-3)
    expected = (total / I0) ** 2 * (1 / total + 1 / I0)
    assert of.variance.mean().item() == pytest.approx(expected, rel=0.01)
    assert of.value.var().item() == pytest.approx(expected, rel=SCATTER)


def test_fluorescence_and_transmission_of_one_i0_are_correlated():
    i0, it = counted(poisson(2000.0, 12), 1.0), counted(poisson(9e4, 13), 1.0)
    every = torch.tensor([True])
    readings = poisson(9e4, 14).unsqueeze(-1)
    mu_f = fluorescence(i0, counted(readings, 1.0), every)
    mu_t = transmission(i0, it)
    observed = torch.cov(torch.stack((mu_f.value[:, 0], mu_t.value[:, 0])))[0, 1]
    expected = covariance_of_yield(i0, mu_f.value).mean().item()
    assert expected == pytest.approx(observed.item(), rel=1.5 * SCATTER)
    assert expected < 0
