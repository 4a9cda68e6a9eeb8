import dataclasses

import pytest
import torch

from xasnn_stream.training.study.spread import spread
from xasnn_stream.training.study.toy import (
    FAMILIES,
    TRAINED_ON,
    draw_curves,
    toy,
)


@pytest.fixture
def settings(recipe):
    return dataclasses.replace(
        recipe.fit, pool=1000, members=5, hidden=16, depth=1, steps=150, batch=64
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_the_maximum_is_that_of_the_curve_without_noise(name, rng):
    curves = draw_curves(FAMILIES[name], 500, rng)
    seen = curves.values.amax(-1, keepdim=True)
    # Noise of 0.003 on some points near the top lifts the largest by about two of it.
    torch.testing.assert_close(seen, curves.maximum, rtol=0, atol=0.02)
    assert (seen - curves.maximum).mean() > 0


def test_families_are_shifted_against_each_other(rng):
    drawn = {name: draw_curves(of, 4000, rng) for name, of in FAMILIES.items()}
    means = [curves.values.mean(0) for curves in drawn.values()]
    for other in means[1:]:
        # Far beyond noise: 0.003 on one bin of one curve, the mean is of 4000.
        assert (other - means[0]).abs().amax() > 0.02


def test_every_architecture_is_scored_on_every_family_and_seed(settings):
    rows = list(toy(["linear", "mlp"], settings, 3, lambda *_: None))
    assert [(row["architecture"], row["family"]) for row in rows] == [
        (name, family) for name in ("linear", "mlp") for family in FAMILIES
    ]
    for row in rows:
        mae, ratio = row["mae"], row["ratio"]
        assert 0 < mae["low"] < mae["median"] < mae["high"] < 1
        if row["family"] == TRAINED_ON:
            assert ratio == {"median": 1.0, "low": 1.0, "high": 1.0}


def test_a_perceptron_learns_what_is_not_linear(settings):
    settings = dataclasses.replace(settings, steps=400)
    rows = list(toy(["linear", "mlp"], settings, 3, lambda *_: None))
    linear, mlp = (row["mae"]["median"] for row in rows if row["family"] == TRAINED_ON)
    assert mlp < 0.6 * linear


def test_a_spread_is_median_lowest_and_highest():
    assert spread(torch.tensor([3.0, 1.0, 2.0, 9.0, 4.0])) == {
        "median": 3.0,
        "low": 1.0,
        "high": 9.0,
    }
