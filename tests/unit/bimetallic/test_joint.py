"""Two estimates of one sample as one, in its wire form."""

import json
from dataclasses import replace

import numpy as np
import pytest

from xasnn_stream.bimetallic.joint import can_join, join
from xasnn_stream.estimate import Descriptor
from xasnn_stream.manifest import read_parts
from xasnn_stream.spectrum import Reason

GIVEN = {"Pt": 0.4, "Au": 0.6}


def descriptor(value, half_width):
    interval = (value - half_width, value + half_width)
    return Descriptor(value, 9.9, 9.9, 0.0, 0.0, interval, 0.9)


@pytest.fixture
def models(alloy_model):
    """Both edges, whose calibrations do not say how errors go together."""
    return tuple(
        replace(part, document=part.document | {"calibration": {}})
        for part in read_parts(alloy_model)
    )


@pytest.fixture
def pair(make_estimate):
    """Pt has 4.5 Au neighbours, Au 3.0 Pt: as many bonds from both ends."""
    pt = make_estimate("pt", sample="PtAu/C")
    au = replace(make_estimate("au"), element="Au")
    return (
        replace(
            pt,
            descriptors={
                "cn_pt_pt": descriptor(3.9, 1.0),
                "cn_pt_au": descriptor(4.5, 1.2),
            },
        ),
        replace(
            au,
            descriptors={
                "cn_au_au": descriptor(5.6, 0.9),
                "cn_au_pt": descriptor(3.0, 0.6),
            },
        ),
    )


def test_only_parts_that_read_both_ends_of_a_bond_can_be_joined(models):
    assert can_join(models)
    assert not can_join(models[:1])
    assert not can_join((models[0], models[0]))


def test_numbers_that_agree_keep_their_values_and_gain_precision(pair, models):
    document = join(pair, models, GIVEN).document()
    found = document["descriptors"]
    assert list(found) == ["cn_pt_pt", "cn_pt_au", "cn_au_au", "cn_au_pt"]
    assert found["cn_pt_au"]["value"] == pytest.approx(4.5)
    # Of unlike neighbours each edge helps the other; of like ones nothing is learnt.
    assert found["cn_pt_au"]["std"] < 1.2 / 1.645
    assert found["cn_pt_pt"]["std"] == pytest.approx(1.0 / 1.645)
    for number in found.values():
        assert number["interval"][0] <= number["value"] <= number["interval"][1]
    assert document["verdict"] == "ok"
    assert document["reasons"] == []
    assert document["implied_composition"]["Au"] == pytest.approx(0.6)


def test_the_document_is_json_and_says_where_it_comes_from(pair, models):
    document = json.loads(
        json.dumps(join(pair, models, None).document(), allow_nan=False)
    )
    assert document["schema"] == "xasnn.bimetallic/1"
    assert document["estimates"] == [pair[0].id, pair[1].id]
    assert document["edges"] == ["Pt L3", "Au L3"]
    assert document["composition"] is None
    assert np.shape(document["covariance"]) == (4, 4)
    assert document["provenance"]["model_sha256"] == "a" * 64


def test_errors_of_one_edge_go_together_as_its_model_found(pair, models):
    first = models[0]
    correlated = np.eye(len(first.descriptors))
    correlated[0, 1] = correlated[1, 0] = -0.7
    calibration = first.document["calibration"] | {"correlation": correlated.tolist()}
    told = replace(first, document=first.document | {"calibration": calibration})
    moved = replace(
        pair[0], descriptors=pair[0].descriptors | {"cn_pt_au": descriptor(5.5, 1.2)}
    )
    plain, known = (
        join((moved, pair[1]), (model, models[1]), GIVEN).numbers.values
        for model in (first, told)
    )
    assert plain[0] == pytest.approx(3.9)
    assert known[0] > 3.9 + 0.1
    assert known[1] == pytest.approx(plain[1])


def test_edges_that_contradict_the_composition_are_doubted(pair, models):
    joint = join(pair, models, {"Pt": 0.9, "Au": 0.1})
    assert joint.verdict == "caution"
    assert [reason.code for reason in joint.reasons] == ["inconsistent"]


def test_it_is_never_better_than_either_estimate(pair, models):
    pt, au = pair
    doubted = replace(
        au, verdict="outside", reasons=(Reason("novel", "unlike training"),)
    )
    joint = join((pt, doubted), models, GIVEN)
    assert joint.verdict == "outside"
    assert joint.reasons == (Reason("novel", "Au L3: unlike training"),)


def test_without_the_numbers_of_an_edge_there_is_nothing_to_join(
    pair, models, make_estimate
):
    rejected = replace(make_estimate("au", rejected=True), element="Au")
    assert join((pair[0], rejected), models, GIVEN) is None


def test_no_unlike_neighbours_tell_no_composition(pair, models):
    apart = tuple(
        replace(
            estimate,
            descriptors={
                name: descriptor(11.0 if name.endswith(own) else 0.1, 1.0)
                for name in estimate.descriptors
            },
        )
        for estimate, own in zip(pair, ("pt_pt", "au_au"), strict=True)
    )
    document = join(apart, models, None).document()
    assert document["implied_composition"] is None
    assert document["implied_composition_std"] is None
