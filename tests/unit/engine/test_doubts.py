"""What must not pass as `ok`: oxide, glitches, jumps, gaps, saturation, shifted axes."""

import dataclasses

import numpy as np
import pytest

E0 = 11564.0
OUTSIDE, CAUTION = "outside", "caution"


def codes(estimate):
    return {reason.code for reason in estimate.reasons}


def relative(sweep):
    return sweep().energy_ev - E0


def oxide(share, at=3.5, fwhm=7.0):
    """A share of a full oxide's white line, +0.25 of the edge step of 1.1."""

    def added(sweep):
        line = np.exp(-4 * np.log(2) * ((relative(sweep) - at) / fwhm) ** 2)
        return share * 0.25 * 1.1 * line

    return added


def glitch(at, height):
    return lambda sweep: (
        height * (np.arange(410) == np.argmin(abs(relative(sweep) - at)))
    )


def jump(at, height):
    return lambda sweep: height * (relative(sweep) > at)


@pytest.mark.parametrize("particle", ["hemi111_13", "hcp_19", "to38", "cubo55", "to79"])
@pytest.mark.parametrize("shape", [(3.0, 5.0), (3.5, 7.0), (4.0, 6.0)])
def test_a_third_of_an_oxide_is_doubted(engine, sweep, absorption, particle, shape):
    mu = absorption(particle, noise=1e-3, seed=3) + oxide(0.3, *shape)(sweep)
    (estimate,) = engine.estimate([sweep(mu=mu)])
    assert estimate.verdict in (CAUTION, OUTSIDE)
    assert "white_line" in codes(estimate)


def test_the_more_oxide_the_less_is_believed(engine, sweep, absorption):
    metal = absorption("to38", noise=1e-3, seed=3)
    verdicts = [
        engine.estimate([sweep(mu=metal + oxide(share)(sweep))])[0].verdict
        for share in (0.0, 0.1, 1.0)
    ]
    assert verdicts == ["ok", CAUTION, OUTSIDE]


FLAWS = {
    "pre-edge": glitch(-80, 0.1),
    "12 eV": glitch(12, 0.05),
    "40 eV": glitch(40, 0.02),
    "300 eV": glitch(300, 0.5),
    "jump at -60": jump(-60, 0.05),
    "jump at 30": jump(30, 0.05),
    "jump at 200": jump(200, 0.05),
}


@pytest.mark.parametrize("added", FLAWS.values(), ids=FLAWS)
def test_points_that_leave_the_curve_are_named(engine, sweep, absorption, added):
    mu = absorption("to38", noise=1e-3, seed=3) + added(sweep)
    (estimate,) = engine.estimate([sweep(mu=mu)])
    assert estimate.verdict in (CAUTION, OUTSIDE)
    assert "glitch" in codes(estimate)


@pytest.mark.parametrize("at", [0.0, 4.0])
def test_a_glitch_on_the_rise_is_found_when_it_is_large(engine, sweep, absorption, at):
    mu = absorption("to38", noise=1e-3, seed=3) + glitch(at, 0.1)(sweep)
    (estimate,) = engine.estimate([sweep(mu=mu)])
    assert "glitch" in codes(estimate)


@pytest.mark.parametrize("noise", [1e-4, 1e-3, 5e-3, 2e-2])
def test_noise_alone_is_no_glitch(engine, sweep, absorption, noise):
    spectra = [
        sweep(mu=absorption("to38", noise=noise, seed=seed)) for seed in range(10)
    ]
    for estimate in engine.estimate(spectra):
        assert "glitch" not in codes(estimate)


@pytest.mark.parametrize(("low", "high"), [(-4.0, 4.0), (10.0, 30.0), (60.0, 76.0)])
def test_a_gap_where_the_model_reads_is_outside(engine, sweep, low, high):
    whole = sweep()
    keep = ~((relative(sweep) > low) & (relative(sweep) < high))
    gapped = dataclasses.replace(
        whole,
        energy_ev=whole.energy_ev[keep],
        channels={role: values[keep] for role, values in whole.channels.items()},
    )
    (estimate,) = engine.estimate([gapped])
    assert estimate.verdict == OUTSIDE
    text = next(r.text for r in estimate.reasons if r.code == "gap")
    assert f"from {E0 + low:.1f} to {E0 + high:.1f} eV" in text


@pytest.mark.parametrize("role", ["i0", "it"])
def test_a_saturated_channel_is_a_caution(engine, sweep, role):
    readings = sweep().channels[role]
    clipped = np.minimum(readings, np.quantile(readings, 0.9))
    (estimate,) = engine.estimate([sweep(channels={role: clipped})])
    assert estimate.verdict in (CAUTION, OUTSIDE)
    assert f"{role} stands still" in next(
        r.text for r in estimate.reasons if r.code == "clipped"
    )


def test_a_channel_that_is_constant_is_not_saturated(engine, sweep, absorption):
    mu = absorption("to38", noise=1e-3, seed=3)
    counts = {"i0": np.ones(410), "it": np.exp(-mu)}
    (estimate,) = engine.estimate([sweep(channels=counts)])
    assert estimate.verdict == "ok"
