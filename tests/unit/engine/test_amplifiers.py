"""Readings behind an amplifier, and what a run itself says of how it was measured."""

from dataclasses import replace

import numpy as np
import pytest

from xasnn_stream.engine.settings import Cleaning, QualityLimits

from .conftest import E0

DARK_UV = {"i0": 1500.0, "it": -800.0}
UV_PER_COUNT = {"i0": 3.0, "it": 0.5}


def amplified(spectrum):
    """The same sweep as negative voltages in microvolt, with their dark levels."""
    channels = {
        role: DARK_UV[role] - UV_PER_COUNT[role] * spectrum.channels[role]
        for role in ("i0", "it")
    }
    scales = {role: -1e-6 / UV_PER_COUNT[role] for role in channels}
    return replace(spectrum, channels=channels, offsets=DARK_UV, scales=scales)


def codes(estimate):
    return [reason.code for reason in estimate.reasons]


def assert_same_values(estimate, expected):
    """The same but for round-off in batches of other sizes."""
    for name, descriptor in expected.descriptors.items():
        found = estimate.descriptors[name]
        assert found.value == pytest.approx(descriptor.value, 1e-9)
        assert found.std == pytest.approx(descriptor.std, 1e-9)


def test_offset_polarity_and_gain_leave_the_absorption_as_it_is(engine, sweep):
    plain, through = engine.estimate([sweep(), amplified(sweep())])
    assert (plain.verdict, through.verdict) == ("ok", "ok")
    for name, descriptor in plain.descriptors.items():
        assert through.descriptors[name].value == pytest.approx(descriptor.value, 1e-6)
    mu, again = (e.arrays["mu_normalized"] for e in (plain, through))
    np.testing.assert_allclose(again, mu, atol=1e-9)


def test_a_dark_level_that_the_run_should_say_is_a_doubt_where_it_is_read(
    engine, sweep
):
    known, unknown, elsewhere = engine.estimate(
        [
            sweep(),
            replace(sweep(), unknown_offsets=("it", "i0")),
            replace(sweep(), unknown_offsets=("if",)),
        ]
    )
    assert (known.verdict, elsewhere.verdict) == ("ok", "ok")
    assert (unknown.verdict, codes(unknown)) == ("caution", ["no_dark_level"])
    assert "it, i0" in unknown.reasons[0].text


def test_a_channel_of_the_wrong_polarity_is_not_positive(engine, sweep):
    spectrum = amplified(sweep())
    (found,) = engine.estimate([replace(spectrum, scales={})])
    assert (found.verdict, codes(found)) == ("rejected", ["i0_not_positive"])


def test_counting_noise_is_that_of_the_reading_before_its_amplifier(load, foil, sweep):
    plain = load(foil, counts_per_unit={"i0": 1.0, "it": 1.0})
    per_uv = {role: 1 / gain for role, gain in UV_PER_COUNT.items()}
    spectrum = amplified(sweep())
    behind = load(foil, counts_per_unit=per_uv)
    # Counts of the dark level are nothing here: it is a voltage.
    spectrum = replace(
        spectrum,
        channels={r: v - DARK_UV[r] for r, v in spectrum.channels.items()},
        offsets={},
    )
    (expected,), (found,) = plain.estimate([sweep()]), behind.estimate([spectrum])
    for name, descriptor in expected.descriptors.items():
        noise = found.descriptors[name].std_noise
        assert noise == pytest.approx(descriptor.std_noise, 1e-6)
    assert found.quality.noise == pytest.approx(expected.quality.noise, 1e-6)


def test_a_run_names_its_own_mode_among_others_of_the_profile(load, foil, sweep):
    engine = load(foil, quality=QualityLimits(min_edge_step=0.001))
    through = sweep()
    i0, it = (through.channels[role] for role in ("i0", "it"))
    yields = replace(
        through, channels={"i0": i0, "if": i0 * np.log(i0 / it)}, mode="fluorescence"
    )
    mixed = engine.estimate([through, yields, through])
    assert [each.verdict for each in mixed] == ["ok", "ok", "ok"]
    alone = [engine.estimate([spectrum])[0] for spectrum in (through, yields)]
    for found, expected in zip(mixed[:2], alone, strict=True):
        assert_same_values(found, expected)
    for name, descriptor in mixed[0].descriptors.items():
        assert mixed[1].descriptors[name].value == pytest.approx(descriptor.value, 0.02)


def test_detectors_of_different_size_do_not_disturb_each_other(load, foil, sweep):
    engine = load(foil, mode="fluorescence", quality=QualityLimits(min_edge_step=0.001))
    i0, it = (sweep().channels[role] for role in ("i0", "it"))
    counts = i0 * np.log(i0 / it)
    spectra = [
        replace(sweep(), channels={"i0": i0, "if": seen})
        for seen in (counts, np.stack([counts] * 4, -1), np.stack([counts] * 2, -1))
    ]
    found = engine.estimate(spectra)
    assert [each.verdict for each in found] == ["ok"] * 3
    steps = [each.quality.edge_step for each in found]
    assert np.array(steps) / steps[0] == pytest.approx([1, 4, 2], 1e-9)


def test_a_mode_that_nobody_knows_is_said(engine, sweep):
    (found,) = engine.estimate([sweep(mode="tey")])
    assert (found.verdict, codes(found)) == ("rejected", ["unknown_mode"])
    assert "'tey'" in found.reasons[0].text


def test_a_wrong_edge_energy_of_the_run_is_said_and_changes_nothing(engine, sweep):
    near, none, far = engine.estimate(
        [sweep(e0_ev=E0 + 14.0), sweep(), sweep(e0_ev=E0 - 40.0)]
    )
    assert near.verdict == none.verdict == "ok"
    assert (far.verdict, codes(far)) == ("caution", ["wrong_e0"])
    assert "-40.0 eV" in far.reasons[0].text
    assert_same_values(far, none)


def test_readings_that_cannot_be_trusted_are_counted_and_said(load, foil, sweep):
    spectrum = sweep(scales={"i0": -1.0})
    raw = -spectrum.channels["i0"]
    most = np.partition(-raw, -10)[-10]
    least = np.partition(spectrum.channels["it"], 3)[3]
    spectrum = replace(spectrum, channels=spectrum.channels | {"i0": raw, "if": raw})
    engine = load(
        foil,
        ranges={"i0": (0.0, most), "it": (least, np.inf), "if": (0.0, 1.0)},
    )
    (found,) = engine.estimate([spectrum])
    assert (found.verdict, codes(found)) == ("caution", ["saturated", "low_signal"])
    assert "10 points of i0" in found.reasons[0].text
    assert "3 points of it" in found.reasons[1].text
    assert "of if" not in found.reasons[0].text, "a channel that is not read"


def test_a_saturated_element_counts_once_for_a_point(load, foil, sweep):
    i0, it = (sweep().channels[role] for role in ("i0", "it"))
    seen = np.stack([i0 * np.log(i0 / it)] * 3, -1)
    most = np.partition(seen[:, 0], -5)[-5]
    engine = load(
        foil,
        mode="fluorescence",
        ranges={"if": (0.0, most)},
        cleaning=Cleaning(deglitch=False),
        quality=QualityLimits(min_edge_step=0.001),
    )
    (found,) = engine.estimate([replace(sweep(), channels={"i0": i0, "if": seen})])
    assert "5 points of if" in found.reasons[codes(found).index("saturated")].text
