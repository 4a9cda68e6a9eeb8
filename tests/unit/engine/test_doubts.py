"""What must not pass as `ok`: oxide, glitches, jumps, gaps, saturation, shifted axes."""

import dataclasses

import numpy as np
import pytest

from xasnn_stream.engine.foil import Foil
from xasnn_stream.engine.settings import Cleaning

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


GLITCHES = {
    "pre-edge": glitch(-80, 0.1),
    "foot": glitch(-5, 0.05),
    "rise": glitch(0.0, 0.1),
    "white line": glitch(4.0, 0.1),
    "12 eV": glitch(12, 0.05),
    "taller than the edge": glitch(100, 1.5),
    "300 eV": glitch(300, 0.5),
}


@pytest.mark.parametrize("added", GLITCHES.values(), ids=GLITCHES)
def test_a_glitch_is_left_out_named_and_does_not_move_the_estimate(
    engine, sweep, absorption, added
):
    mu = absorption("to38", noise=1e-3, seed=3)
    clean, found = engine.estimate([sweep(mu=mu), sweep(mu=mu + added(sweep))])
    assert (clean.quality.n_masked, clean.masked_ev) == (0, ())
    assert found.quality.n_masked == 1
    (at,) = found.masked_ev
    assert at == sweep().energy_ev[np.argmax(added(sweep))]
    assert at not in found.arrays["energy"]
    assert (found.verdict, found.reasons) == ("ok", ())
    for name, descriptor in clean.descriptors.items():
        # A tenth of the interval's half width.
        low, high = descriptor.interval
        tolerance = 0.1 * (high - low) / 2
        value = found.descriptors[name].value
        assert value == pytest.approx(descriptor.value, abs=tolerance)


def test_points_are_left_where_the_profile_says_so(load, foil, sweep, absorption):
    engine = load(foil, cleaning=Cleaning(deglitch=False))
    mu = absorption("to38", noise=1e-3, seed=3) + glitch(-80, 0.1)(sweep)
    (estimate,) = engine.estimate([sweep(mu=mu)])
    assert (estimate.quality.n_masked, estimate.masked_ev) == (0, ())
    assert len(estimate.arrays["energy"]) == 410
    assert (estimate.verdict, codes(estimate)) == (CAUTION, {"glitch"})
    assert f"{E0 - 80:.1f}" in estimate.reasons[0].text


def thinned(sweep, every):
    energy = sweep().energy_ev
    near = (energy > E0 - 10) & (energy < E0 + 20)
    return energy[~near | (np.arange(len(energy)) % every == 0)]


def test_a_sweep_in_coarser_steps_than_its_foil_is_doubted(engine, sweep):
    # Of 40 simulated sweeps 1 eV beside 0.5 eV moves cn1 by 0.15 on average, 2 eV by 0.55.
    fine, halved, coarse = engine.estimate(
        [sweep(energy=thinned(sweep, every)) for every in (1, 2, 4)]
    )
    assert (fine.verdict, halved.verdict) == ("ok", "ok")
    # Steps that wide also damp the spectrum, and that is seen.
    assert (coarse.verdict, codes(coarse)) == (CAUTION, {"coarse", "damped"})
    texts = {reason.code: reason.text for reason in coarse.reasons}
    assert "1.9 eV apart, the foil's 0.5 eV" in texts["coarse"]


def test_a_sweep_as_coarse_as_its_foil_is_not(load, sweep, absorption):
    energy = thinned(sweep, 4)
    mu = absorption("bulk", energy, noise=1e-4, seed=99)
    engine = load(Foil("coarse.csv", energy, mu, "f" * 64))
    alike, finer = engine.estimate([sweep(energy=energy), sweep()])
    assert "coarse" not in codes(alike)
    assert "coarse" in codes(finer)


def test_what_is_left_of_a_row_does_not_depend_on_its_batch_mates(
    engine, sweep, absorption
):
    mu = absorption("to38", noise=1e-3, seed=3)
    spoiled = sweep(mu=mu + glitch(60, 0.5)(sweep))
    (alone,) = engine.estimate([sweep(mu=mu)])
    beside, _ = engine.estimate([sweep(mu=mu), spoiled])
    for name, descriptor in alone.descriptors.items():
        value = beside.descriptors[name].value
        assert value == pytest.approx(descriptor.value, rel=1e-12)


def test_what_is_left_out_side_by_side_is_doubted(engine, sweep, absorption):
    mu = absorption("to38", noise=1e-3, seed=3)
    mu = mu + glitch(200, 0.3)(sweep) + glitch(202, 0.3)(sweep)
    (estimate,) = engine.estimate([sweep(mu=mu)])
    assert estimate.verdict in (CAUTION, OUTSIDE)
    assert "glitch" in codes(estimate)


@pytest.mark.parametrize("at", [-60, 30, 200])
def test_a_jump_is_named(engine, sweep, absorption, at):
    mu = absorption("to38", noise=1e-3, seed=3) + jump(at, 0.05)(sweep)
    (estimate,) = engine.estimate([sweep(mu=mu)])
    assert estimate.verdict in (CAUTION, OUTSIDE)
    assert codes(estimate) & {"glitch", "jump"}


def test_a_jump_is_repaired_where_the_profile_says_so(load, foil, sweep, absorption):
    mu = absorption("to38", noise=1e-3, seed=3)
    jumped = sweep(mu=mu + jump(200, 0.3)(sweep))
    engine = load(foil, cleaning=Cleaning(jumps="repair"))
    clean, repaired = engine.estimate([sweep(mu=mu), jumped])
    (flagged,) = load(foil).estimate([jumped])
    step = clean.quality.edge_step
    assert abs(flagged.quality.edge_step / step - 1) > 0.05
    assert repaired.quality.edge_step == pytest.approx(step, rel=0.01)
    assert "jump" in codes(repaired) & codes(flagged)
    text = next(r.text for r in repaired.reasons if r.code == "jump")
    assert f"at {E0 + 201:.1f} eV" in text


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


def test_a_channel_that_is_not_read_may_be_saturated(engine, sweep):
    channels = sweep().channels
    diode = np.minimum(channels["i0"], np.quantile(channels["i0"], 0.9))
    (estimate,) = engine.estimate([sweep(channels={**channels, "if": diode})])
    assert "clipped" not in codes(estimate)


@pytest.mark.parametrize("cut", [False, True])
def test_whole_numbers_turn_slowly_without_being_saturated(engine, sweep, cut):
    whole = sweep()
    beam = np.round(4e4 * (1 + 0.02 * np.sin(relative(sweep) / 150)))
    absorbed = whole.channels["it"] / whole.channels["i0"]
    top = np.quantile(beam, 0.9) if cut else np.inf
    channels = {"i0": np.minimum(beam, np.round(top)), "it": beam * absorbed}
    longest = np.sum(channels["i0"] == channels["i0"].max())
    (estimate,) = engine.estimate([sweep(channels=channels)])
    assert longest >= 5
    assert ("clipped" in codes(estimate)) == cut


def test_a_channel_that_is_constant_is_not_saturated(engine, sweep, absorption):
    mu = absorption("to38", noise=1e-3, seed=3)
    counts = {"i0": np.ones(410), "it": np.exp(-mu)}
    (estimate,) = engine.estimate([sweep(channels=counts)])
    assert estimate.verdict == "ok"
