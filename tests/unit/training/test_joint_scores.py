"""Both edges of alloys against the truth: what the joint line gains."""

import numpy as np
import pytest

from xasnn_stream.training.joint_scores import EdgeScores, joint_scores

STD = np.array([0.6, 0.8])
REACH = 1.645 * STD


def edge(names, truth, rng, std=STD):
    truth = np.tile(truth, (1000, 1))
    value = truth + std * rng.normal(size=truth.shape)
    return EdgeScores(names, truth, value, value - REACH, value + REACH, np.eye(2))


@pytest.fixture
def scores():
    """C_PdAu 4.5 and C_AuPd 3.0: as many bonds from both ends at 60 % of gold."""
    rng = np.random.default_rng(2)
    pd = edge(("cn_pd_pd", "cn_pd_au"), np.array([3.9, 4.5]), rng)
    au = edge(("cn_au_au", "cn_au_pd"), np.array([5.6, 3.0]), rng)
    return joint_scores(pd, au, 13)


def test_unlike_neighbours_gain_and_like_ones_keep_their_error(scores):
    alone, together = (scores[of]["mae"] for of in ("alone", "together"))
    # 0.4·C_PdAu = 0.6·C_AuPd: of equal errors, C_AuPd is worth 1.5 times as much there.
    expected = 0.8 * np.sqrt(1 / (1 + 1.0 / 1.5**2)) * np.sqrt(2 / np.pi)
    assert together["cn_pd_au"] == pytest.approx(expected, rel=0.08)
    assert together["cn_au_pd"] < alone["cn_au_pd"]
    assert together["cn_pd_pd"] == pytest.approx(alone["cn_pd_pd"], rel=0.03)


def test_intervals_shrink_and_still_cover(scores):
    for of in ("alone", "together"):
        for share in scores[of]["coverage"].values():
            # 1000 draws: one point, three times that.
            assert share == pytest.approx(0.9, abs=0.03)
    assert scores["together"]["width90"]["cn_pd_au"] < 2 * REACH[1] - 0.1
    assert (scores["n"], scores["n_particles"]) == (1000, 13)


def test_pure_metals_tell_no_composition():
    rng = np.random.default_rng(3)
    pd = edge(("cn_pd_pd", "cn_pd_au"), np.array([11.0, 0.0]), rng)
    au = edge(("cn_au_au", "cn_au_pd"), np.array([11.0, 0.0]), rng)
    found = joint_scores(pd, au, 2)
    # Without a composition only the bounds are known: nothing below zero.
    half = found["alone"]["mae"]["cn_pd_au"] / 2
    assert found["together"]["mae"]["cn_pd_au"] == pytest.approx(half, rel=0.1)
