import numpy as np
import pytest
import torch

from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

RANGES = Normalization(pre1=-140, pre2=-30, norm1=40, norm2=380, nnorm=2)
CURVES = ("norm", "flat", "pre_edge", "post_edge", "edge_step_per_mu")


def normalized(*spectra, settings=RANGES, **changes):
    energy, valid = stack([spectrum.energy for spectrum in spectra])
    mu, _ = stack([changes.pop("mu", spectrum.mu) for spectrum in spectra])
    return normalize(energy, mu, valid, settings, **changes)


def test_step_and_lines_of_an_analytic_edge_are_found(edge):
    spectrum = edge()
    result = normalized(spectrum)
    assert result.e0.item() == spectrum.e0
    # The arctangent's tails: width/π·(1/30 + 1/40), relative to 1, below 1e-3.
    assert result.edge_step.item() == pytest.approx(spectrum.step, rel=1e-3)
    flat = result.flat[0].numpy()
    relative = spectrum.energy - spectrum.e0
    np.testing.assert_allclose(flat[relative < -25], 0.0, atol=1e-3)
    np.testing.assert_allclose(flat[relative > 25], 1.0, atol=1e-3)


def test_norm_keeps_the_curvature_that_flat_removes(edge):
    result = normalized(edge(bend=3e-6))
    # bend·x² over the step at x = 380 eV.
    assert result.norm[0, -20].item() == pytest.approx(
        1 - 3e-6 * 380**2 / 1.3, abs=3e-3
    )
    assert result.flat[0, -20].item() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_polynomial_of_the_fitted_degree_is_flattened_exactly(degree):
    relative = np.arange(-150.0, 400.0, 1.0)
    rise = (relative >= 0).astype(float)
    bend = sum((-0.3) ** k * (relative / 200) ** k for k in range(degree + 1))
    energy, valid = stack([9000 + relative])
    mu, _ = stack([0.2 + 1e-4 * relative + 1.5 * rise * bend])
    settings = Normalization(
        e0=9000.0, pre1=-140, pre2=-30, norm1=40, norm2=380, nnorm=degree
    )
    result = normalize(energy, mu, valid, settings)
    assert result.edge_step.item() == pytest.approx(1.5, abs=1e-9)
    np.testing.assert_allclose(result.flat[0].numpy(), rise, atol=1e-9)


def test_a_victoreen_pre_edge_is_removed_exactly():
    relative = np.arange(-150.0, 400.0, 1.0)
    energy = 9000.0 + relative
    falling = 0.5 * (1 + 1e-4 * relative) * (9000 / energy) ** 3
    rise = (relative >= 0).astype(float)
    batch, valid = stack([energy])
    mu, _ = stack([falling + 1.5 * rise])
    settings = Normalization(
        e0=9000.0, pre1=-140, pre2=-30, norm1=40, norm2=380, nnorm=0, nvict=3
    )
    result = normalize(batch, mu, valid, settings)
    assert result.edge_step.item() == pytest.approx(1.5, abs=1e-9)
    np.testing.assert_allclose(result.pre_edge[0].numpy(), falling, atol=1e-9)


def test_gain_scales_the_step_and_an_offset_does_nothing(edge):
    spectrum = edge()
    plain = normalized(spectrum)
    changed = normalized(spectrum, mu=250.0 * spectrum.mu - 80.0)
    # Rounding of values near 250 against 1.
    torch.testing.assert_close(
        changed.edge_step, 250 * plain.edge_step, rtol=1e-11, atol=0
    )
    torch.testing.assert_close(changed.flat, plain.flat, rtol=0, atol=1e-11)


def test_a_shift_of_the_axis_moves_only_the_axis(edge):
    plain, moved = normalized(edge()), normalized(edge(e0=8979.0 + 64))
    assert moved.e0.item() == plain.e0.item() + 64
    torch.testing.assert_close(moved.flat, plain.flat, rtol=0, atol=1e-11)
    torch.testing.assert_close(moved.edge_step, plain.edge_step, rtol=1e-11, atol=0)


@pytest.mark.parametrize("settings", [RANGES, Normalization()], ids=["given", "auto"])
def test_one_spectrum_and_a_ragged_batch_agree(edge, settings):
    spectra = [
        edge(width=0.5 + k, spacing=spacing, start=-160.0 + 10 * k, stop=250.0 + 60 * k)
        for k, spacing in enumerate((0.5, 1.0, 2.0, 0.7, 1.3))
    ]
    together = normalized(*spectra, settings=settings)
    for row, spectrum in enumerate(spectra):
        alone = normalized(spectrum, settings=settings)
        points = len(spectrum.energy)
        assert together.edge_step[row].item() == pytest.approx(
            alone.edge_step.item(), rel=1e-12
        )
        for name in CURVES:
            torch.testing.assert_close(
                getattr(together, name)[row, :points],
                getattr(alone, name)[0],
                rtol=0,
                atol=1e-12,
                msg=f"{name} of row {row}",
            )


def test_the_steps_derivative_is_its_finite_difference(edge):
    spectrum = edge(spacing=2.0, width=2.0)
    settings = Normalization(
        e0=8979.0, pre1=-140, pre2=-30, norm1=40, norm2=380, nnorm=2, nvict=1
    )
    result = normalized(spectrum, settings=settings)
    step = 1e-3
    # The step is linear in μ: the difference quotient is exact but for rounding.
    for index in (0, 3, 20, 60, 75, 76, 100, 200, 270):
        raised = spectrum.mu.copy()
        raised[index] += step
        moved = normalized(spectrum, settings=settings, mu=raised)
        quotient = (moved.edge_step - result.edge_step).item() / step
        expected = result.edge_step_per_mu[0, index].item()
        assert quotient == pytest.approx(expected, abs=1e-10)


def test_an_inverted_spectrum_has_a_negative_step(edge):
    spectrum = edge()
    result = normalized(
        spectrum, mu=3.0 - spectrum.mu, e0=torch.tensor([spectrum.e0]).double()
    )
    assert result.edge_step.item() == pytest.approx(-spectrum.step, rel=1e-3)


def test_a_constant_has_no_step_and_stays_finite(edge):
    result = normalized(edge(), mu=np.full(550, 0.7))
    assert result.edge_step.item() == pytest.approx(0.0, abs=1e-12)
    assert result.flat.isfinite().all()


def test_limits_restrict_what_is_fitted(edge):
    long, short = edge(stop=900.0, bend=-2e-6), edge(stop=150.0, bend=-2e-6)
    settings = Normalization(pre1=-140, pre2=-30, norm1=40, norm2=800, nnorm=1)
    limits = (torch.tensor([-150.0]), torch.tensor([149.0]))
    limited = normalized(long, settings=settings, limits=limits)
    alone = normalized(short, settings=settings)
    free = normalized(long, settings=settings)
    assert limited.norm2.item() == 149.0
    assert limited.edge_step.item() == pytest.approx(alone.edge_step.item(), rel=1e-12)
    # A line through a parabola over 40 to 800 eV lies lower at e0 by tenths.
    assert abs(free.edge_step.item() - alone.edge_step.item()) > 0.05


def test_automatic_ranges_are_larchs(edge):
    result = normalized(edge(), settings=Normalization())
    # Second point at -149 eV: to the nearest five, half of it; end at 399 eV.
    assert result.pre1.item() == -150.0
    assert result.pre2.item() == -75.0
    assert result.norm1.item() == 25.0
    assert result.norm2.item() == 399.0
    assert result.nnorm.item() == 2


@pytest.mark.parametrize(("stop", "degree"), [(40.0, 0), (200.0, 1), (400.0, 2)])
def test_the_automatic_degree_follows_the_range(edge, stop, degree):
    result = normalized(edge(stop=stop), settings=Normalization())
    assert result.nnorm.item() == degree
