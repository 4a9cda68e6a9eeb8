"""Fluorescence detectors of several elements: dead time, sums, elements that fail."""

import dataclasses

import numpy as np
import pytest

from xasnn_stream.engine.settings import Cleaning, QualityLimits

GAINS = (1.0, 0.7, 1.3, 0.9)
DEAD_TIME_S = 2e-6


@pytest.fixture
def yields(absorption):
    """A function: counts of one and of several elements that saw the same sample."""

    def make(sweep):
        mu = absorption("to38", noise=3e-4, seed=3)
        i0 = sweep().channels["i0"]
        true = np.stack([gain * i0 * mu / 20 for gain in GAINS], -1)
        return i0, true

    return make


@pytest.fixture
def read(load, foil, sweep):
    """A function: the estimate of such counts, with what the profile says of them."""

    def estimate(i0, counts, excluded=(), **cleaning):
        engine = load(
            foil,
            mode="fluorescence",
            excluded={"if": excluded},
            cleaning=Cleaning(**cleaning),
            quality=QualityLimits(min_edge_step=0.001),
        )
        channels = {"i0": i0, **counts}
        (found,) = engine.estimate([dataclasses.replace(sweep(), channels=channels)])
        return found

    return estimate


def test_elements_are_summed(read, yields, sweep):
    i0, true = yields(sweep)
    one = read(i0, {"if": true.sum(-1)})
    several = read(i0, {"if": true})
    assert several.verdict == "ok"
    step = one.quality.edge_step
    assert several.quality.edge_step == pytest.approx(step, rel=1e-12)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(0.0, "dead"), (np.nan, "not_finite")],
)
def test_an_element_that_fails_is_left_out_and_named(read, yields, sweep, spoil, why):
    i0, true = yields(sweep)
    broken = true.copy()
    broken[:, 2] = spoil
    found = read(i0, {"if": broken})
    assert (found.verdict, [r.code for r in found.reasons]) == ("caution", ["detector"])
    assert f"2 ({why})" in found.reasons[0].text
    rest = read(i0, {"if": np.delete(true, 2, -1)})
    step = rest.quality.edge_step
    assert found.quality.edge_step == pytest.approx(step, rel=1e-12)


def test_an_element_that_fails_has_its_number_among_those_excluded(read, yields, sweep):
    i0, true = yields(sweep)
    broken = true.copy()
    broken[:, 2] = 0.0
    found = read(i0, {"if": broken}, excluded=(0, 3, 9))
    assert [r.code for r in found.reasons] == ["detector"]
    assert "4 (dead)" in found.reasons[0].text


def test_dead_time_is_corrected_where_the_profile_says_so(read, yields, sweep):
    i0, true = yields(sweep)
    # A paralyzing counter: of the incoming rate this share goes out.
    incoming = 5 * true
    share = np.exp(-incoming * DEAD_TIME_S)
    counts = {"if": true * share, "icr": incoming, "ocr": incoming * share}
    plain = read(i0, {"if": true})
    corrected = read(i0, counts, dead_time="icr_ocr")
    squeezed = read(i0, counts)
    step = plain.quality.edge_step
    assert corrected.quality.edge_step == pytest.approx(step, rel=1e-9)
    assert abs(squeezed.quality.edge_step / step - 1) > 0.1


@pytest.mark.parametrize(
    ("role", "why"), [("if", "saturated"), ("icr", "not_finite"), ("ocr", "not_finite")]
)
def test_an_element_that_fails_is_found_however_its_dead_time_is_corrected(
    read, yields, sweep, role, why
):
    i0, true = yields(sweep)
    share = np.exp(-5 * true * DEAD_TIME_S)
    counts = {"if": true * share, "icr": 5 * true, "ocr": 5 * true * share}
    spoilt = {name: values.copy() for name, values in counts.items()}
    if role == "if":
        top = np.quantile(spoilt["if"][:, 2], 0.4)
        spoilt["if"][:, 2] = spoilt["if"][:, 2].clip(max=top)
    else:
        spoilt[role][50, 2] = np.nan
    found = read(i0, spoilt, dead_time="icr_ocr")
    assert [r.code for r in found.reasons] == ["detector"]
    assert f"2 ({why})" in found.reasons[0].text
    rest = {name: np.delete(values, 2, -1) for name, values in counts.items()}
    step = read(i0, rest, dead_time="icr_ocr").quality.edge_step
    assert found.quality.edge_step == pytest.approx(step, rel=1e-12)


def test_dead_time_without_rates_is_no_signal(read, yields, sweep):
    i0, true = yields(sweep)
    found = read(i0, {"if": true}, dead_time="icr_ocr")
    assert (found.verdict, found.reasons[0].code) == ("rejected", "no_signal")
    assert "icr or ocr" in found.reasons[0].text


@pytest.mark.parametrize("n_rates", [0, 3])
def test_rates_of_another_number_of_elements_are_no_signal(
    read, yields, sweep, n_rates
):
    i0, true = yields(sweep)
    rates = true[:, :n_rates] if n_rates else true[:, 0]
    found = read(i0, {"if": true, "icr": rates, "ocr": true}, dead_time="icr_ocr")
    assert (found.verdict, found.reasons[0].code) == ("rejected", "no_signal")
    assert "differ" in found.reasons[0].text
