import dataclasses

import pytest

from xasnn_stream.physics.instrument import N1, NONE
from xasnn_stream.training.conditions import CONDITIONS, OWN, conditions, widened


def test_every_condition_is_the_same_for_every_model():
    wide = dataclasses.replace(N1, shift=(-5.0, 5.0))
    for name in CONDITIONS:
        assert conditions(wide)[name] == conditions(N1)[name]
    assert conditions(wide)[OWN] == wide


def test_conditions_are_what_their_names_say():
    of = conditions(N1)
    assert of["clean"] == NONE
    assert of["N1"].noise == (0.002, 0.002)
    assert of["N1"].foil_noise == (0.001, 0.001)
    assert of["N1"].edge_step == N1.edge_step
    assert of["noise"] == dataclasses.replace(
        NONE, noise=(0.005, 0.005), foil_noise=(0.001, 0.001)
    )
    assert of["N1+noise"] == dataclasses.replace(
        N1, noise=(0.005, 0.005), foil_noise=(0.001, 0.001)
    )
    assert of["N1-range"] == N1


def test_twice_as_wide_is_about_the_value_that_changes_nothing():
    twice = widened(N1, 2.0)
    assert twice.stretch == pytest.approx((1.0, 1.1))
    assert twice.amplitude == pytest.approx((0.7, 1.1))
    assert twice.edge_step == pytest.approx((-0.024, 0.024))
    assert twice.broadening == pytest.approx((0.0, 6.0))
    assert widened(N1, 1.0) == N1
    assert widened(N1, 0.0) == NONE
