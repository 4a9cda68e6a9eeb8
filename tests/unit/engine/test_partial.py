"""Estimates of a sweep that goes on: never `ok`, no interval before nothing can change."""

import dataclasses

import numpy as np
import pytest

E0 = 11564.0


@pytest.fixture
def part(sweep):
    """A function: the first or last part of a sweep, eV about the edge."""

    def make(low=-np.inf, high=np.inf, progress=0.5):
        whole = sweep()
        relative = whole.energy_ev - E0
        keep = (relative >= low) & (relative <= high)
        return dataclasses.replace(
            whole,
            run=dataclasses.replace(whole.run, final=False, progress=progress),
            energy_ev=whole.energy_ev[keep],
            channels={role: values[keep] for role, values in whole.channels.items()},
        )

    return make


def codes(estimate):
    return [reason.code for reason in estimate.reasons]


@pytest.mark.parametrize("high", [-190, -40, 20])
def test_before_it_can_be_normalized_the_absorption_is_shown(engine, part, high):
    spectrum = part(high=high, progress=0.1)
    (estimate,) = engine.estimate([spectrum])
    assert (estimate.verdict, codes(estimate)) == ("rejected", ["partial", "too_early"])
    assert estimate.reasons[0].text.startswith("10% of the scan")
    assert (estimate.id, estimate.descriptors) == (None, {})
    assert set(estimate.arrays) == {"energy", "mu"}
    i0, it = (spectrum.channels[role] for role in ("i0", "it"))
    np.testing.assert_allclose(estimate.arrays["mu"], np.log(i0 / it))


def test_before_the_model_can_read_it_the_normalized_part_is_shown(engine, part):
    (estimate,) = engine.estimate([part(high=55)])
    assert (estimate.verdict, codes(estimate)) == (
        "rejected",
        ["partial", "too_early"],
    )
    grid, (sample, reference, _) = (
        estimate.arrays[name] for name in ("grid_energy", "grid_spectra")
    )
    # Edges are aligned to the foil's, which moves the end of the data a little.
    assert np.isfinite(sample[grid < E0 + 53]).all()
    assert np.isnan(sample[grid > E0 + 57]).all()
    # There to be filled: the foil was measured as a whole.
    assert np.isfinite(reference).all()


@pytest.mark.parametrize("high", [95, 120, 149, 200, 390])
def test_a_part_has_values_but_no_interval(engine, part, high):
    (estimate,) = engine.estimate([part(high=high)])
    # With little post-edge the step is off, and other doubts may fire as well.
    assert estimate.verdict in ("caution", "outside")
    assert "partial" in codes(estimate)
    assert all(d.interval is None for d in estimate.descriptors.values())
    assert estimate.descriptors["cn1"].value == pytest.approx(7.58, abs=1.0)


@pytest.mark.parametrize("high", [95, 120, 149])
def test_the_step_of_a_part_is_that_of_the_whole_within_its_error(
    engine, part, sweep, high
):
    partial, final = engine.estimate([part(high=high), sweep()])
    assert codes(partial) == ["partial", "short_post_edge"]
    error = partial.quality.edge_step / final.quality.edge_step - 1
    # These sweeps lie on a background that bends more than a measured one.
    assert abs(error) < 3 * partial.quality.step_std
    assert 10 * final.quality.step_std < partial.quality.step_std < 0.04
    for name in ("cn1", "cn3"):
        now, then = partial.descriptors[name], final.descriptors[name]
        assert now.value == pytest.approx(then.value, abs=now.std)
        assert now.std > then.std


def test_a_final_scan_that_ends_early_is_a_caution_with_an_interval(engine, part):
    spectrum = part(high=120)
    run = dataclasses.replace(spectrum.run, final=True)
    (estimate,) = engine.estimate([dataclasses.replace(spectrum, run=run)])
    assert (estimate.verdict, codes(estimate)) == ("caution", ["short_post_edge"])
    assert f"to {estimate.quality.step_std:.1%}" in estimate.reasons[0].text
    low, high = estimate.descriptors["cn1"].interval
    assert low < 7.58 < high


def test_a_sweep_from_above_has_no_interval_before_its_pre_edge_is_measured(
    engine, part
):
    (estimate,) = engine.estimate([part(low=-100)])
    assert estimate.descriptors["cn1"].interval is None


def test_once_all_that_is_read_was_measured_the_interval_is_the_final_one(
    engine, part, sweep
):
    partial, final = engine.estimate([part(high=410), sweep()])
    assert (partial.verdict, codes(partial)) == ("caution", ["partial"])
    for name, descriptor in final.descriptors.items():
        assert partial.descriptors[name].interval == pytest.approx(
            # The noise is read from fewer points.
            descriptor.interval,
            abs=0.05,
        )


def test_a_run_of_another_element_is_told_so_at_once(engine, part):
    spectrum = dataclasses.replace(part(high=20), element="Au")
    (estimate,) = engine.estimate([spectrum])
    assert codes(estimate) == ["partial", "wrong_edge"]


def test_a_final_rejection_carries_no_curve(engine, part):
    spectrum = part(high=20)
    run = dataclasses.replace(spectrum.run, final=True)
    (estimate,) = engine.estimate([dataclasses.replace(spectrum, run=run)])
    assert (estimate.verdict, codes(estimate)) == ("rejected", ["no_post_edge"])
    assert not estimate.arrays
