"""The verdict on what novelty and the domain say, evidence by evidence."""

from dataclasses import replace
from math import inf, nan

import pytest

from xasnn_stream.engine.evidence import Evidence
from xasnn_stream.engine.verdict import judge
from xasnn_stream.spectrum import Run
from xasnn_stream.uncertainty.novelty import DOUBTED_FROM, TESTS

CODES = {
    "leading": "novel",
    "rest": "distorted",
    "glitch": "spike",
    "white_line": "white_line",
    "chloride": "unseen_phase",
    "damped": "damped",
    "edge_step": "normalization",
    "slope": "normalization",
}
CLEAN = Evidence(
    run=Run("u", 1, 0, "up", 1.0, final=True, complete=True, source="test"),
    n_missed=0,
    novelty=dict.fromkeys(TESTS, 0.1),
    beyond_domain=(),
    decisive="cn1",
    foil="foil.csv",
    edge_shift_ev=0.2,
    expected_shift_ev=0.0,
    axis_shift_ev=None,
    calibrated_axis=False,
    glitches=(),
    jumps=(),
    gap=None,
    spacing=(0.5, 0.5),
    clipped=(),
    foreseen_step_std=None,
    elements=(),
    damping=None,
    thickness=None,
    excess=None,
    unknown_offsets=(),
    saturated={},
    weak={},
    named_shift_ev=None,
)


def judged(**changes):
    verdict, reasons = judge(replace(CLEAN, **changes))
    return verdict, [reason.code for reason in reasons]


def test_clean_evidence_is_ok_without_reasons():
    assert judged() == ("ok", [])


@pytest.mark.parametrize("test", TESTS)
def test_each_test_of_novelty_has_its_own_reason(test):
    def with_score(score):
        return judged(novelty=CLEAN.novelty | {test: score})

    assert with_score(DOUBTED_FROM) == ("ok", [])
    assert with_score(DOUBTED_FROM + 0.01) == ("caution", [CODES[test]])
    assert with_score(1.0) == ("caution", [CODES[test]])
    for score in (1.01, inf, nan):
        assert with_score(score) == ("outside", [CODES[test]])


def test_a_negative_score_is_no_doubt():
    assert judged(novelty=dict.fromkeys(TESTS, -2.0)) == ("ok", [])


def test_a_shifted_edge_is_outside_only_where_the_axis_is_known():
    assert judged(edge_shift_ev=2.0) == ("caution", ["foil_shift"])
    assert judged(edge_shift_ev=-2.0, calibrated_axis=True) == (
        "outside",
        ["edge_shift"],
    )
    assert judged(edge_shift_ev=1.5, calibrated_axis=True) == ("ok", [])


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_shift_counts_from_where_particles_have_their_edge(calibrated):
    where = {"expected_shift_ev": -0.5, "calibrated_axis": calibrated}
    assert judged(edge_shift_ev=-2.0, **where) == ("ok", [])
    verdict, (code,) = judged(edge_shift_ev=1.1, **where)
    assert (verdict, code) == (
        ("outside", "edge_shift") if calibrated else ("caution", "foil_shift")
    )


def test_an_unknown_shift_is_no_doubt():
    assert judged(edge_shift_ev=None, expected_shift_ev=-2.0) == ("ok", [])


@pytest.mark.parametrize("beyond", [("cn1",), ("cn1", "cn3")])
def test_the_decisive_descriptor_beyond_its_domain_is_outside(beyond):
    verdict, reasons = judge(replace(CLEAN, beyond_domain=beyond))
    assert verdict == "outside"
    assert [reason.code for reason in reasons] == ["beyond_domain"]
    assert ", ".join(beyond) in reasons[0].text


def test_other_descriptors_beyond_their_domains_are_a_caution():
    verdict, reasons = judge(replace(CLEAN, beyond_domain=("cn3", "r1")))
    assert verdict == "caution"
    assert [reason.code for reason in reasons] == ["beyond_domain"]
    assert "cn3, r1" in reasons[0].text


def test_of_two_tests_of_one_reason_the_louder_is_said():
    loud = CLEAN.novelty | {"edge_step": 1.2, "slope": 1.7}
    verdict, reasons = judge(replace(CLEAN, novelty=loud))
    assert verdict == "outside"
    (reason,) = reasons
    assert reason.code == "normalization"
    assert "inclined" in reason.text
    assert "1.70 of the limit" in reason.text
