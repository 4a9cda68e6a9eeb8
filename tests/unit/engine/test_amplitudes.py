"""Spectra whose amplitudes are too small: over-absorbed, or too thick."""

import dataclasses

import numpy as np
import pytest

from xasnn_stream.engine.settings import QualityLimits

STEP = 1.1
"""Of the sample, as `absorption` makes it."""


@pytest.fixture
def read(load, foil, sweep, absorption):
    """A function: the estimate of fluorescence, self-absorbed by a share of itself."""

    def estimate(share, *, through):
        mu = absorption("to38")
        rise = (mu - mu[:10].mean()) / STEP
        fluorescence = rise * (1 + share) / (1 + share * rise)
        i0 = sweep().channels["i0"]
        rng = np.random.default_rng(2)
        noise = 1 + 5e-4 * rng.normal(size=(2, len(mu)))
        channels = {"i0": i0, "if": i0 * (fluorescence + 0.1) / 20 * noise[0]}
        if through:
            channels["it"] = i0 * np.exp(-mu) * noise[1]
        engine = load(
            foil, mode="fluorescence", quality=QualityLimits(min_edge_step=0.001)
        )
        (found,) = engine.estimate([dataclasses.replace(sweep(), channels=channels)])
        return found

    return estimate


def codes(estimate):
    return [reason.code for reason in estimate.reasons]


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_over_absorption_is_told_by_the_light_let_through(read, share):
    found = read(share, through=True)
    # Of a small wiggle about 1, 1 / (1 + share) is left.
    assert found.quality.damping == pytest.approx(1 / (1 + share), abs=0.03)
    assert "over_absorption" in codes(found)
    assert found.verdict != "ok"


def test_a_thin_sample_is_not_damped(read):
    found = read(0.0, through=True)
    assert found.quality.damping == pytest.approx(
        1.0, abs=3 * found.quality.damping_std + 0.01
    )
    assert "over_absorption" not in codes(found)


def test_fluorescence_alone_does_not_tell(read):
    found = read(0.2, through=False)
    assert (found.quality.damping, found.quality.damping_std) == (None, None)
    assert "over_absorption" not in codes(found)


def test_light_let_through_by_something_else_says_nothing(read, load, foil, sweep):
    i0 = sweep().channels["i0"]
    channels = {
        "i0": i0,
        "if": 0.1 * i0,
        "it": i0 * np.exp(-np.linspace(2, 1, len(i0))),
    }
    engine = load(foil, mode="fluorescence", quality=QualityLimits(min_edge_step=0.001))
    whole = sweep()
    mu = np.log(whole.channels["i0"] / whole.channels["it"])
    channels["if"] = i0 * mu / 20
    (found,) = engine.estimate([dataclasses.replace(whole, channels=channels)])
    assert found.quality.damping is None


@pytest.mark.parametrize(("step", "said"), [(2.8, False), (3.3, True)])
def test_a_sample_too_thick_is_a_caution(engine, sweep, absorption, step, said):
    mu = absorption("to38", step=step, noise=3e-4, seed=1)
    (found,) = engine.estimate([sweep(mu=mu)])
    assert ("thick" in codes(found)) == said
    assert found.verdict == ("caution" if said else "ok")
