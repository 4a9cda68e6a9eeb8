from dataclasses import replace

import pytest
import torch

from xasnn_stream.physics.instrument import N1, NONE
from xasnn_stream.training.nuisances import differences, with_noise
from xasnn_stream.training.pool import draw_pool, split
from xasnn_stream.training.study.views import look, measure


@pytest.fixture
def small(recipe):
    return replace(recipe, fit=replace(recipe.fit, pool=60))


@pytest.fixture
def seen(library, small, on):
    rng = torch.Generator().manual_seed(5)
    return measure(library, small, split(library, small), on, rng)


def test_differences_are_those_every_model_is_trained_on(library, small, on, seen):
    rng = torch.Generator().manual_seed(5)
    parts = split(library, small)
    pool = draw_pool(library, small, parts, on, rng, lambda _: None)
    ours = seen.pool("difference")
    for name in ("values", "noise", "truth", "allowed"):
        assert torch.equal(getattr(ours, name), getattr(pool, name)), name


def test_the_sample_less_a_perfect_foil_is_the_difference(library, on):
    rng = torch.Generator().manual_seed(5)
    bulk = library.rows(1.0)[library.bulk_site]
    weights = torch.nn.functional.one_hot(torch.tensor([bulk, 0]), len(library.site))
    sample = look(on, weights.float(), NONE, rng)
    foil, particle = sample.absolute
    torch.testing.assert_close(sample.difference[1], particle - foil)
    assert sample.difference[0].abs().amax() == 0


def test_an_absolute_spectrum_has_no_noise_of_the_foil(library, on):
    quiet = with_noise(NONE, 0.0, 0.003)
    weights = torch.eye(len(library.site))[:3]
    noisy = look(on, weights, quiet, torch.Generator().manual_seed(5))
    clean = look(on, weights, NONE, torch.Generator().manual_seed(5))
    assert torch.equal(noisy.absolute, clean.absolute)
    assert not torch.equal(noisy.difference, clean.difference)
    assert torch.equal(noisy.level("absolute"), torch.zeros(3))
    torch.testing.assert_close(noisy.level("both"), torch.full((3,), 0.003))


def test_both_is_the_sample_beside_the_difference(seen):
    values = seen.pool("both").values
    bins = seen.views.difference.shape[1]
    assert torch.equal(values[:, :bins], seen.pool("absolute").values)
    assert torch.equal(values[:, bins:], seen.pool("difference").values)


def test_looking_measures_as_differences_do(library, on):
    weights = torch.eye(len(library.site))[:4]
    seen = look(on, weights, N1, torch.Generator().manual_seed(5))
    drawn = differences(on, weights, N1, torch.Generator().manual_seed(5))
    assert torch.equal(seen.difference, drawn.values)
