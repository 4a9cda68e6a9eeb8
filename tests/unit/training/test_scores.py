import math

import pytest
import torch

from xasnn_stream.training.scored import Scored, particle_weight
from xasnn_stream.training.scores import all_scores, coverage_by, resolved

QUANTILES = {0.68: 0.99446, 0.9: 1.64485, 0.95: 1.95996}
"""Of the absolute value of a normal."""


def synthetic(draws=20000, std=0.5, of=1.0, seed=3):
    """Score normal errors of `of` times the std they are said to have."""
    rng = torch.Generator().manual_seed(seed)
    truth = 5 + 7 * torch.rand(draws, 2, generator=rng, dtype=torch.float64)
    error = torch.randn(draws, 2, generator=rng, dtype=torch.float64)
    value = truth + std * of * error
    said = torch.full_like(value, std)
    return Scored(
        names=("cn1", "cn2"),
        truth=truth,
        value=value,
        std=said,
        intervals={
            q: (value - k * said, value + k * said) for q, k in QUANTILES.items()
        },
        weight=torch.ones(draws),
        owners=tuple(f"p{k % 10}" for k in range(draws)),
        noise=torch.rand(draws, generator=rng, dtype=torch.float64),
    )


def test_of_normal_errors_every_score_is_the_known_one():
    scores = all_scores(synthetic())
    # Standard errors of 20000 draws are below 0.4 %; three of them.
    for level in QUANTILES:
        for covered in scores["coverage"][f"{level:g}"].values():
            assert covered == pytest.approx(level, abs=0.011)
    assert scores["mae"]["cn1"] == pytest.approx(0.5 * math.sqrt(2 / math.pi), rel=0.02)
    assert scores["rmse"]["cn1"] == pytest.approx(0.5, rel=0.02)
    assert scores["median_error"]["cn1"] == pytest.approx(0.5 * 0.67449, rel=0.03)
    assert scores["p95_error"]["cn1"] == pytest.approx(0.5 * 1.95996, rel=0.03)
    assert scores["crps"]["cn1"] == pytest.approx(0.5 / math.sqrt(math.pi), rel=0.02)
    assert scores["z_mean"]["cn1"] == pytest.approx(0, abs=0.03)
    assert scores["z_std"]["cn1"] == pytest.approx(1, rel=0.02)
    assert scores["width90"]["cn1"] == pytest.approx(2 * 1.64485 * 0.5, rel=1e-4)
    # Truths uniform over 7 have the variance 49/12.
    assert scores["r2"]["cn1"] == pytest.approx(1 - 0.25 * 12 / 49, abs=0.01)
    assert scores["rel_mae_bulk"]["cn2"] == pytest.approx(
        scores["mae"]["cn2"] / 6, rel=1e-3
    )


def test_errors_twice_as_large_as_said_are_covered_as_seldom_as_they_must():
    scores = all_scores(synthetic(of=2.0))
    # P(|z| < 1.645 / 2) and P(|z| < 0.994 / 2).
    assert scores["coverage"]["0.9"]["cn1"] == pytest.approx(0.589, abs=0.011)
    assert scores["coverage"]["0.68"]["cn1"] == pytest.approx(0.381, abs=0.011)
    assert scores["z_std"]["cn1"] == pytest.approx(2, rel=0.02)


def test_coverage_in_thirds_is_known_in_every_third():
    by = coverage_by(synthetic())
    assert set(by) == {"cn1", "noise"}
    for thirds in by.values():
        assert [third["n_particles"] for third in thirds] == [10, 10, 10]
        assert sum(third["n"] for third in thirds) == 20000
        assert all(third["n"] == pytest.approx(20000 / 3, abs=2) for third in thirds)
        for third in thirds:
            # 0.3 / √6667, three of them.
            assert third["coverage"]["0.9"]["cn2"] == pytest.approx(0.9, abs=0.012)
    edges = [third["to"] for third in by["cn1"]]
    # Thirds of a uniform variable between 5 and 12.
    assert edges == pytest.approx([5 + 7 / 3, 5 + 14 / 3, 12], abs=0.1)


def test_what_does_not_vary_is_not_divided():
    scored = synthetic(300)
    same = Scored(**{
        name: getattr(scored, name) for name in Scored.__slots__
    } | {"noise": torch.full((300,), 0.002)})  # fmt: skip
    assert set(coverage_by(same)) == {"cn1"}


def test_a_particle_counts_once_however_often_it_is_drawn():
    weight = particle_weight(("a",) * 90 + ("b",) * 10, "cpu")
    assert weight.sum().item() == pytest.approx(1)
    assert weight[:90].sum().item() == pytest.approx(0.5)


def test_a_shell_is_resolved_where_it_beats_cn1_and_r1_a_third_of_the_mean():
    def table(**mae):
        return {"mae": mae}

    baseline = {
        "mean": table(cn1=1.0, cn2=1.0, cn3=3.0, r1=0.024),
        "from_cn1": table(cn1=None, cn2=0.4, cn3=0.3, r1=None),
    }
    names = ("cn1", "cn2", "cn3", "r1")
    mae = {"cn1": 0.2, "cn2": 0.3, "cn3": 0.4, "r1": 0.007}
    known = resolved(names, mae, baseline)
    assert known == {"cn1": True, "cn2": True, "cn3": False, "r1": True}
    assert not resolved(names, mae | {"r1": 0.009}, baseline)["r1"]
    # A third of 0.06 would be 0.02, but 0.01 Å is the limit.
    far = baseline | {"mean": table(cn1=1.0, cn2=1.0, cn3=3.0, r1=0.06)}
    assert not resolved(names, mae | {"r1": 0.012}, far)["r1"]
