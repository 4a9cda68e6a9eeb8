"""What cannot be read ends in exactly one rejected estimate, with its reason."""

import json
from dataclasses import replace

import numpy as np
import pytest

from xasnn_stream.physics.signals.single import transmission
from xasnn_stream.spectrum import Accounting, Reason

E0 = 11564.0
POINTS = 410


def spoiled(role, index, value):
    """Put one bad value into a channel."""

    def make(sweep, absorption):
        values = sweep().channels[role].copy()
        values[index] = value
        return sweep(channels={role: values})

    return make


def spoiled_energy(sweep, absorption):
    energy = sweep().energy_ev.copy()
    energy[100] = np.nan
    return replace(sweep(), energy_ev=energy)


def every(role, value):
    def make(sweep, absorption):
        return sweep(channels={role: np.full(POINTS, value)})

    return make


def cut(low=-np.inf, high=np.inf, every=1):
    """Measure only a part of the scan, eV about the edge."""

    def make(sweep, absorption):
        whole = sweep()
        relative = whole.energy_ev - E0
        keep = np.flatnonzero((relative >= low) & (relative <= high))[::every]
        channels = {role: values[keep] for role, values in whole.channels.items()}
        return replace(whole, energy_ev=whole.energy_ev[keep], channels=channels)

    return make


def duplicates_only(sweep, absorption):
    """Thirty readings at fifteen energies."""
    energy = np.repeat(np.linspace(E0 - 100, E0 + 200, 15), 2)
    return sweep(energy=energy, mu=absorption("to38", energy))


def labelled(**changes):
    return lambda sweep, absorption: replace(sweep(), **changes)


def another_edge(shift):
    """Measure the same edge elsewhere, within the scan's range."""

    def make(sweep, absorption):
        return sweep(energy=sweep().energy_ev + shift, mu=absorption("to38"))

    return make


def without(role):
    def make(sweep, absorption):
        whole = sweep()
        channels = {k: v for k, v in whole.channels.items() if k != role}
        return replace(whole, channels=channels)

    return make


def noise_only(sweep, absorption):
    white = np.random.default_rng(3).normal(0, 1e-3, POINTS)
    return sweep(mu=1.0 + white)


def constant(sweep, absorption):
    return sweep(mu=np.ones(POINTS))


def inverted(sweep, absorption):
    return sweep(mu=3.0 - absorption("to38"))


def drowned(sweep, absorption):
    """A real edge under noise of a fifth of its step."""
    return sweep(mu=absorption("to38", noise=0.2))


UNREADABLE = [
    ("NaN in I0", spoiled("i0", 7, np.nan), "not_finite"),
    ("NaN in It", spoiled("it", 7, np.nan), "not_finite"),
    ("infinite It", spoiled("it", 7, np.inf), "not_finite"),
    ("NaN in energy", spoiled_energy, "not_finite"),
    ("one zero I0", spoiled("i0", 200, 0.0), "i0_not_positive"),
    ("negative I0", every("i0", -1e6), "i0_not_positive"),
    ("I0 at the dark level", labelled(offsets={"i0": 2e6}), "i0_not_positive"),
    ("all It zero", every("it", 0.0), "it_not_positive"),
    ("fewer than 20 points", cut(every=22), "too_few_points"),
    ("fewer than 20 energies", duplicates_only, "too_few_points"),
    ("no points", cut(low=1e6), "too_few_points"),
    ("no pre-edge", cut(low=-10), "no_pre_edge"),
    ("no post-edge", cut(high=30), "no_post_edge"),
    ("range below the edge", cut(high=-20), "wrong_edge"),
    ("range above the edge", cut(low=30), "wrong_edge"),
    ("another element's label", labelled(element="Au"), "wrong_edge"),
    ("another edge's label", labelled(edge="L2"), "wrong_edge"),
    ("edge 20 eV below, as of W L2", another_edge(-20), "wrong_edge"),
    ("edge 60 eV above", another_edge(60), "wrong_edge"),
    ("no It in the run", without("it"), "no_signal"),
    ("nothing usable", labelled(problem=Reason("no_signal", "x")), "no_signal"),
    ("noise without a step", noise_only, "no_step"),
    ("a constant", constant, "no_step"),
    ("inverted", inverted, "no_step"),
    ("more noise than signal", drowned, "too_noisy"),
    ("ends before the window does", cut(high=55), "range_too_short"),
]


@pytest.mark.parametrize(
    ("make", "code"),
    [row[1:] for row in UNREADABLE],
    ids=[row[0] for row in UNREADABLE],
)
def test_an_unreadable_sweep_is_rejected_once_with_its_reason(
    make, code, engine, sweep, absorption
):
    spectrum = make(sweep, absorption)
    (estimate,) = engine.estimate([spectrum])
    assert estimate.verdict == "rejected"
    assert [reason.code for reason in estimate.reasons] == [code]
    assert estimate.reasons[0].text
    assert estimate.descriptors == {}
    assert estimate.run == spectrum.run
    assert estimate.quality.n_points == len(spectrum.energy_ev)
    assert estimate.id is not None
    document = json.loads(json.dumps(estimate.document(), allow_nan=False))
    assert document["verdict"] == "rejected"


@pytest.mark.parametrize(
    ("n_missed", "said"),
    [(300, "300 event rows are missing"), (0, "its end never came")],
)
def test_a_rejected_sweep_with_gaps_says_what_is_missing(
    engine, sweep, absorption, n_missed, said
):
    rest = cut(high=20)(sweep, absorption)
    gapped = replace(
        rest,
        run=replace(rest.run, complete=False),
        accounting=Accounting(n_missed=n_missed),
    )

    (estimate,) = engine.estimate([gapped])

    assert estimate.verdict == "rejected"
    assert [reason.code for reason in estimate.reasons][1:] == ["incomplete"]
    assert estimate.reasons[1].text == said


@pytest.mark.parametrize("code", ["incomplete", "no_file"])
def test_a_sweep_of_which_nothing_came_says_so_once(engine, sweep, code):
    nothing = sweep(
        problem=Reason(code, "what is missing"), accounting=Accounting(n_missed=1)
    )
    (estimate,) = engine.estimate(
        [replace(nothing, run=replace(nothing.run, complete=False))]
    )
    assert estimate.verdict == "rejected"
    assert estimate.reasons == (Reason(code, "what is missing"),)


def test_bad_sweeps_among_good_ones_keep_their_places(engine, sweep, absorption):
    spectra = [make(sweep, absorption) for _, make, _ in UNREADABLE]
    mixed = [sweep(), *spectra, sweep("cubo147")]
    estimates = engine.estimate(mixed)
    verdicts = [estimate.verdict for estimate in estimates]
    assert verdicts == ["ok", *["rejected"] * len(spectra), "ok"]
    codes = [estimate.reasons[0].code for estimate in estimates[1:-1]]
    assert codes == [code for _, _, code in UNREADABLE]


def test_a_bad_reference_channel_does_not_reject_the_sample(engine, sweep):
    dead = np.zeros(POINTS)
    (estimate,) = engine.estimate([sweep(channels={"ir": dead})])
    assert estimate.verdict == "ok"
    assert estimate.quality.e0_shift_ev is None


def odd_sweep(sweep, rng):
    """Return positive readings without physics, on any grid a broken encoder writes."""
    points = int(rng.integers(1, 120))
    energy = E0 + rng.choice([30.0, 300.0]) * rng.standard_normal(points)
    if rng.random() < 0.5:
        energy = np.sort(np.round(energy, int(rng.integers(-1, 8))))
    size = 10.0 ** rng.uniform(-200, 200)
    i0 = size * rng.uniform(0.1, 1, points)
    it = i0 * 10.0 ** (rng.uniform(0, 8) * rng.standard_normal(points))
    step = (energy > E0) * rng.choice([0.0, 1.0])
    return sweep(energy=energy, channels={"i0": i0, "it": it * np.exp(-step)}, mu=step)


def test_readings_without_physics_never_raise(engine, sweep):
    rng = np.random.default_rng(11)
    spectra = [odd_sweep(sweep, rng) for _ in range(80)]
    estimates = engine.estimate(spectra)
    assert len(estimates) == 80
    for estimate in estimates:
        json.dumps(estimate.document(), allow_nan=False)
        assert (estimate.verdict == "rejected") == (not estimate.descriptors)
        assert estimate.reasons


def test_the_engine_and_the_formula_agree_on_absorption(engine, sweep):
    spectrum = sweep()
    (estimate,) = engine.estimate([spectrum])
    mu = transmission(spectrum.channels["i0"], spectrum.channels["it"])
    np.testing.assert_allclose(estimate.arrays["mu"], mu, atol=1e-12)
    flat = estimate.arrays["mu_normalized"]
    # Below the edge μ minus a line over the step: the second difference, free of the
    # line, is the measured one over the step.
    step = estimate.quality.edge_step
    np.testing.assert_allclose(
        np.diff(flat[:30], 2), np.diff(mu[:30], 2) / step, atol=1e-12
    )
