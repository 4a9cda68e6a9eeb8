import dataclasses

import pytest
import torch

from xasnn_stream.physics.instrument import NONE
from xasnn_stream.training.mixtures import particle_weights
from xasnn_stream.training.nuisances import differences, with_noise


def weights(library, name="to38", count=1):
    return particle_weights(library, name, 1.0).expand(count, -1)


def only(recipe, **ranges):
    return dataclasses.replace(NONE, **ranges)


def test_bulk_minus_foil_is_zero_without_nuisances(library, recipe, on, rng):
    drawn = differences(on, weights(library, "bulk"), NONE, rng)
    # Rounding of float32 spectra of order one.
    assert drawn.values.abs().max() < 1e-5
    assert (drawn.noise == 0).all()


def test_noise_has_the_declared_size_per_bin(library, recipe, on, rng):
    silent = only(recipe)
    noisy = with_noise(silent, 0.004, 0.003)
    many = weights(library, "bulk", 400)
    drawn = differences(on, many, noisy, rng)
    assert drawn.noise[0, 0].item() == pytest.approx(0.005)
    spread = drawn.values.std(0)
    # A 1 eV bin of 0.5 eV points: centre a half, ends a quarter, 0.61 against 0.71; the
    # edge's rise adds its own alignment error.
    flat = spread[40:].mean().item()
    assert flat == pytest.approx(0.005 * 0.61 / 0.707, rel=0.1)


def test_theorys_nuisances_leave_bulk_equal_to_its_foil(library, recipe, on, rng):
    theory = only(
        recipe, stretch=(1.05, 1.05), broadening=(3.0, 3.0), amplitude=(0.85, 0.85)
    )
    drawn = differences(on, weights(library, "bulk"), theory, rng)
    assert drawn.values.abs().max() < 1e-5


def test_a_common_shift_is_removed_by_alignment(library, recipe, on, rng):
    plain = differences(on, weights(library), only(recipe), rng)
    moved = differences(on, weights(library), only(recipe, shift=(0.5, 0.5)), rng)
    # Interpolation on the 0.5 eV grid.
    assert (moved.values - plain.values).abs().max() < 2e-3
    size = plain.values.abs().max()
    assert size > 0.02


def test_amplitude_scales_the_difference(library, recipe, on, rng):
    full = differences(on, weights(library), only(recipe), rng).values
    half = differences(on, weights(library), only(recipe, amplitude=(0.5, 0.5)), rng)
    # Alignment, on the sample's own edge, is not linear: a tenth of the difference.
    assert (half.values - 0.5 * full).abs().max() < 0.1 * full.abs().max()


def test_a_wrong_step_of_the_sample_scales_it(library, recipe, on, rng):
    pair = only(recipe, edge_step=(0.01, 0.01))
    drawn = differences(on, weights(library, "bulk"), pair, rng)
    # Both by the same factor: nothing but the edge's alignment remains.
    assert drawn.values.abs().max() < 2e-3


def test_thermal_damping_shrinks_the_far_end_about_the_atom(library, recipe, on, rng):
    cold = differences(on, weights(library, "bulk"), only(recipe), rng).values
    hot = only(recipe, delta_sigma2=(0.004, 0.004))
    drawn = differences(on, weights(library, "bulk"), hot, rng).values - cold
    far = on.grid > 30
    # χ of 0.04 about the atom times 1 - exp(-2·k²·0.004) ≤ 0.17 there; no net step.
    assert drawn[:, far].abs().max() < 0.03
    assert drawn[:, far].mean().abs() < 2e-3
    assert drawn[:, far].abs().max() > 2e-3


def test_a_generator_repeats_its_draws(library, recipe, on):
    first, again, other = (
        differences(
            on,
            weights(library, count=3),
            recipe.nuisances,
            torch.Generator().manual_seed(seed),
        ).values
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
