"""A readable sweep: its numbers, what they depend on and what they do not."""

import dataclasses
import json

import numpy as np
import pytest

from xasnn_stream.engine.foil import Foil
from xasnn_stream.errors import FoilError
from xasnn_stream.estimate import GRID_CHANNELS

E0 = 11564.0
PARTS = ("std_model", "std_noise", "std_ambiguity")
TRUE_CN1 = {"to38": 7.58, "cubo147": 8.98, "bulk": 12.0}


def values(estimate):
    return {
        (name, field): getattr(descriptor, field)
        for name, descriptor in estimate.descriptors.items()
        for field in ("value", "std", *PARTS)
    }


def codes(estimate):
    return [reason.code for reason in estimate.reasons]


def with_channel(sweep, absorption, particle="to38", **foil):
    """Return a sweep with a foil behind the sample."""
    plain = sweep(particle)
    ir = plain.channels["it"] * np.exp(-absorption("bulk", **foil))
    return sweep(particle, channels={"ir": ir})


@pytest.mark.parametrize(("particle", "cn1"), TRUE_CN1.items())
def test_a_held_out_particle_and_the_foil_are_read(engine, sweep, particle, cn1):
    (estimate,) = engine.estimate([sweep(particle)])
    assert (estimate.verdict, estimate.reasons) == ("ok", ())
    found = estimate.descriptors["cn1"]
    # Half an atom: the bar for held-out particles under the simulation's nuisances.
    assert found.value == pytest.approx(cn1, abs=0.5)
    assert found.interval[0] <= cn1 <= found.interval[1]
    # The steepest measured point, points being 0.5 eV apart.
    assert estimate.quality.e0_ev == pytest.approx(E0, abs=1.0)
    assert estimate.novelty.score < estimate.novelty.threshold


def test_noise_per_point_is_the_counted_one(engine, sweep, absorption):
    noisy = sweep(mu=absorption("to38", noise=2e-3, seed=4))
    (estimate,) = engine.estimate([noisy])
    # A robust deviation of some 250 points is good to about 10 %; step 1.1 against 1.15.
    assert estimate.quality.noise == pytest.approx(2e-3, rel=0.25)


def test_the_parts_add_up_and_the_interval_contains_the_value(engine, sweep):
    for estimate in engine.estimate([sweep("to38"), sweep("oct19"), sweep("bulk")]):
        assert estimate.descriptors.keys() >= {"cn1", "cn2", "cn3", "cn4"}
        for descriptor in estimate.descriptors.values():
            squares = sum(getattr(descriptor, part) ** 2 for part in PARTS)
            assert descriptor.std**2 == pytest.approx(squares, rel=1e-12)
            assert all(getattr(descriptor, part) > 0 for part in PARTS)
            low, high = descriptor.interval
            assert low < descriptor.value < high
            assert descriptor.level == 0.9


@pytest.mark.usefixtures("one_scan")
def test_more_noise_widens_the_noise_part(engine, sweep, absorption):
    stds = [
        engine.estimate([sweep(mu=absorption("to38", noise=noise, seed=6))])[0]
        .descriptors["cn1"]
        .std_noise
        for noise in (1e-3, 1e-2)
    ]
    # First order in the noise, were the sensitivity the same; it depends on the noise.
    assert stds[1] > 3 * stds[0]


def test_a_foil_of_another_scan_adds_what_differs_between_scans(
    engine, monkeypatch, sweep, absorption
):
    noisy = sweep(mu=absorption("to38", noise=1e-3, seed=6))
    (found,) = engine.estimate([noisy])
    monkeypatch.setattr("xasnn_stream.engine.measure._BETWEEN_SCANS", 0.0)
    (counted,) = engine.estimate([noisy])
    for name, descriptor in found.descriptors.items():
        assert descriptor.value == counted.descriptors[name].value
        assert descriptor.std_noise > counted.descriptors[name].std_noise


def test_without_any_foil_the_verdict_is_caution(load, sweep):
    (estimate,) = load().estimate([sweep()])
    assert estimate.verdict == "caution"
    assert "no_foil" in codes(estimate)
    assert estimate.provenance.reference is None
    assert estimate.provenance.reference_sha256 is None
    assert np.isnan(estimate.arrays["grid_spectra"][1:]).all()


def test_a_sweeps_own_channel_serves_as_foil(load, sweep, absorption):
    spectrum = with_channel(sweep, absorption, noise=3e-4, seed=5)
    (estimate,) = load(reference_first="channel").estimate([spectrum])
    assert estimate.verdict == "ok"
    assert estimate.provenance.reference == "reference channel"
    assert estimate.descriptors["cn1"].value == pytest.approx(7.58, abs=0.5)


def test_an_own_channel_aligns_to_the_deployed_foil(engine, sweep, absorption, foil):
    moved = 2.3
    here = with_channel(sweep, absorption, noise=3e-4, seed=5)
    there = dataclasses.replace(here, energy_ev=here.energy_ev + moved)
    first, second = engine.estimate([here, there])
    assert first.provenance.reference == foil.name
    assert first.quality.e0_shift_ev == pytest.approx(0.0, abs=0.05)
    shift = second.quality.e0_shift_ev - first.quality.e0_shift_ev
    assert shift == pytest.approx(moved, abs=1e-6)
    assert (second.verdict, codes(second)) == ("caution", ["axis_shift"])
    assert values(second) == pytest.approx(values(first), abs=1e-6)


def test_a_foil_of_another_beamtime_is_a_caution(engine, sweep, absorption):
    there = sweep(energy=sweep().energy_ev + 2.3, mu=absorption("to38"))
    (estimate,) = engine.estimate([there])
    assert (estimate.verdict, codes(estimate)) == ("caution", ["foil_shift"])


def test_an_oxide_is_outside(engine, sweep, absorption):
    energy = sweep().energy_ev
    line = 0.8 * np.exp(-0.5 * ((energy - E0 - 3) / 2.5) ** 2)
    (estimate,) = engine.estimate([sweep(mu=absorption("to38") + line)])
    assert estimate.verdict == "outside"
    assert "novel" in codes(estimate)
    assert estimate.novelty.score > estimate.novelty.threshold
    assert estimate.descriptors


def test_batch_mates_change_nothing(engine, sweep, absorption):
    particles = ("oct19", "cubo55", "to79", "ico55", "hcp_19", "bulk")
    mates = [
        sweep(particles[k % 6], mu=absorption(particles[k % 6], noise=1e-3, seed=k))
        for k in range(27)
    ]
    fine = E0 + np.arange(-180, 600, 0.25)
    mates.append(sweep(energy=fine, mu=absorption("to38", fine)))
    mates.append(sweep(mu=np.ones(410)))
    spectrum = with_channel(sweep, absorption, noise=3e-4, seed=5)
    (alone,) = engine.estimate([spectrum])
    among = engine.estimate([*mates[:15], spectrum, *mates[15:]])[15]
    assert among.id == alone.id
    # Only the order of summation differs.
    assert values(among) == pytest.approx(values(alone), abs=1e-9)
    assert among.novelty.score == pytest.approx(alone.novelty.score, abs=1e-9)
    for name, array in alone.arrays.items():
        np.testing.assert_allclose(among.arrays[name], array, atol=1e-9, err_msg=name)


def test_the_direction_of_a_sweep_changes_nothing(engine, sweep):
    up = sweep()
    down = dataclasses.replace(
        up,
        energy_ev=up.energy_ev[::-1],
        channels={role: values[::-1] for role, values in up.channels.items()},
    )
    first, second = engine.estimate([up, down])
    assert values(second) == pytest.approx(values(first), abs=1e-9)
    assert (np.diff(second.arrays["energy"]) > 0).all()


@pytest.mark.parametrize("jitter", [0.0, 1e-9, 1e-6, 1e-4])
def test_two_readings_per_point_are_averaged(engine, sweep, absorption, jitter):
    once = sweep().energy_ev
    energy = np.sort(np.concatenate((once, once + jitter)))
    twice = sweep(energy=energy, mu=absorption("to38", energy, noise=1e-3))
    (estimate,) = engine.estimate([twice])
    assert estimate.verdict == "ok"
    assert len(estimate.arrays["energy"]) == len(once)
    assert estimate.quality.n_points == 2 * len(once)
    # Two readings of 1e-3; the estimate of noise is good to 10 %.
    assert estimate.quality.noise == pytest.approx(1e-3 / 2**0.5, rel=0.25)
    assert estimate.descriptors["cn1"].value == pytest.approx(7.58, abs=0.5)


def test_gains_of_the_chambers_change_nothing(engine, sweep):
    plain = sweep()
    amplified = sweep(channels={"i0": plain.channels["i0"] * 7.0})
    first, second = engine.estimate([plain, amplified])
    # ln 7 is an offset of μ, which the pre-edge removes up to rounding.
    assert values(second) == pytest.approx(values(first), abs=1e-8)


def test_ids_are_reproducible_and_tell_incomplete_from_complete(engine, sweep):
    whole = sweep()
    run = dataclasses.replace(whole.run, complete=False)
    gapped = dataclasses.replace(whole, run=run)
    partial = dataclasses.replace(whole, run=dataclasses.replace(run, final=False))
    first, again, incomplete, unfinished = engine.estimate(
        [whole, whole, gapped, partial]
    )
    assert first.id == again.id
    assert len(first.id) == 32
    assert incomplete.id != first.id
    assert codes(incomplete) == ["incomplete"]
    assert unfinished.id is None


def test_what_is_delivered_beside_the_document(engine, sweep):
    spectrum = sweep()
    (estimate,) = engine.estimate([spectrum])
    arrays = estimate.arrays
    np.testing.assert_array_equal(arrays["energy"], spectrum.energy_ev)
    grid = arrays["grid_energy"]
    assert (grid[0], grid[-1], len(grid)) == (E0 - 30, E0 + 120, 301)
    sample, reference, difference = arrays["grid_spectra"]
    assert len(arrays["grid_spectra"]) == len(GRID_CHANNELS)
    np.testing.assert_allclose(difference, sample - reference, atol=1e-12)
    # Flattened: one above the edge, zero below it, up to the fine structure.
    assert sample[grid > E0 + 100].mean() == pytest.approx(1.0, abs=0.02)
    assert sample[grid < E0 - 20].mean() == pytest.approx(0.0, abs=0.01)
    document = json.loads(json.dumps(estimate.document(), allow_nan=False))
    assert document["provenance"]["reference"] == "foil.csv"


def test_a_foil_of_another_edge_is_refused(load, foil):
    moved = Foil("gold.csv", foil.energy_ev + 355.0, foil.mu, "a" * 64)
    with pytest.raises(FoilError, match=r"gold\.csv.*Pt L3"):
        load(moved)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda e, mu: (e + 20.0, mu), "half of its step"),
        (lambda e, mu: (e, 3.0 - mu), "edge step .* falls at the edge"),
        (lambda e, mu: (e[e > E0 - 20], mu[e > E0 - 20]), "before the edge"),
        (lambda e, mu: (e[e < E0 + 55], mu[e < E0 + 55]), "about the edge"),
    ],
    ids=["20 eV off", "inverted", "no pre-edge", "shorter than the model's window"],
)
def test_a_foil_that_would_be_rejected_as_a_sample_is_refused(load, foil, spoil, why):
    energy, mu = spoil(foil.energy_ev, foil.mu)
    with pytest.raises(FoilError, match=why):
        load(Foil("bad.csv", energy, mu, "a" * 64))


def test_warming_up_leaves_the_numbers_alone(load, foil, sweep, engine):
    fresh = load(foil)
    fresh.warm_up()
    (warm,) = fresh.estimate([sweep()])
    (plain,) = engine.estimate([sweep()])
    assert values(warm) == pytest.approx(values(plain), abs=1e-9)
    assert engine.estimate([]) == []


def test_another_element_s_edge_ends_what_is_fitted(load, foil, sweep, absorption):
    """Gold beside platinum: its L3 edge rises at 11919 eV, within the scan."""
    mu, energy = absorption("to38"), sweep().energy_ev
    gold = 0.3 / (1 + np.exp(-(energy - 11919.0)))
    plain, told = load(foil), load(foil, others=("Au",))
    before = energy <= 11919.0 - 30
    (short,) = plain.estimate([sweep(energy=energy[before], mu=mu[before])])
    (misread,) = plain.estimate([sweep(mu=mu + gold)])
    (estimate,) = told.estimate([sweep(mu=mu + gold)])
    step = short.quality.edge_step
    assert abs(misread.quality.edge_step / step - 1) > 0.01
    # The scan's last point is not exactly where the range ends.
    assert estimate.quality.edge_step == pytest.approx(step, rel=1e-3)
    # k = √(0.2625 (E - e0)): up to 450 eV, and up to 30 eV before the other edge.
    assert misread.quality.k_max == pytest.approx(10.9, abs=0.05)
    assert estimate.quality.k_max == pytest.approx(9.2, abs=0.05)


def test_readings_of_one_energy_are_counted_as_merged(engine, sweep):
    whole = sweep()
    again = np.concatenate((np.arange(410), [100, 101, 200]))
    spectrum = dataclasses.replace(
        whole,
        energy_ev=whole.energy_ev[again],
        channels={role: values[again] for role, values in whole.channels.items()},
    )
    once, twice = engine.estimate([whole, spectrum])
    assert (once.quality.n_merged, twice.quality.n_merged) == (0, 3)
    assert twice.quality.n_points == 413
    value = once.descriptors["cn1"].value
    assert twice.descriptors["cn1"].value == pytest.approx(value, rel=1e-9)


def test_the_step_s_error_by_noise_is_reported(engine, sweep, absorption):
    spectra = [sweep(mu=absorption("to38", noise=1e-3, seed=s)) for s in range(40)]
    found = [e.quality for e in engine.estimate(spectra)]
    scatter = np.std([q.edge_step for q in found]) / np.mean(
        [q.edge_step for q in found]
    )
    # Of 40 draws a standard deviation is known to 11 %.
    assert np.mean([q.step_std for q in found]) == pytest.approx(scatter, rel=0.35)


def test_the_step_s_spread_over_admissible_ranges_is_reported(engine, sweep):
    (estimate,) = engine.estimate([sweep()])
    # The step is 1.1, but the background bends, which no line or parabola follows.
    error = abs(estimate.quality.edge_step / 1.1 - 1)
    assert 0.02 < error < 2 * estimate.quality.step_spread < 0.2
