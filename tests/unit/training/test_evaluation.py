import dataclasses

import pytest
import torch

from xasnn_stream.errors import LibraryError
from xasnn_stream.training import evaluation, samples
from xasnn_stream.training.evaluation import evaluate
from xasnn_stream.training.samples import Samples, site_mixtures, whole_particles
from xasnn_stream.training.scored import Scored, particle_weight

NAMES = ("to38", "cubo55", "hemi111_13", "ico55")
CONTRACT = {
    "model", "split", "condition", "shapes", "n", "n_particles", "mae", "rmse", "r2",
    "baseline", "coverage", "width90", "winkler90", "novelty_auroc",
}  # fmt: skip


@pytest.fixture
def few(library, monkeypatch) -> Samples:
    """Four particles, five draws per scale."""
    monkeypatch.setattr(samples, "DRAWS", 5)
    return whole_particles(library, NAMES, "held-out")


@pytest.fixture
def said_so(monkeypatch):
    """Replace the network by one that errs normally by the std it says."""

    def score(model, drawn, truth, owners):
        rng = torch.Generator().manual_seed(5)
        error = torch.randn(truth.shape, generator=rng, dtype=torch.float64)
        std = torch.full_like(truth, 0.3)
        value = truth + std * error
        quantiles = {0.68: 0.99446, 0.9: 1.64485, 0.95: 1.95996}
        return Scored(
            model.descriptors,
            truth,
            value,
            std,
            {at: (value - q * std, value + q * std) for at, q in quantiles.items()},
            particle_weight(owners, "cpu"),
            owners,
            drawn.noise[:, 0],
        )

    monkeypatch.setattr(evaluation, "score", score)


def test_every_condition_and_shape_class_has_a_row_with_the_keys_of_the_contract(
    model, recipe, library, few, fitted
):
    rows = list(evaluate(model, recipe, library, few, fitted, ("clean", "N1")))
    titles = [(row["condition"], row["shapes"], row["n_particles"]) for row in rows]
    assert titles == [
        (condition, *rest)
        for condition in ("clean", "N1")
        for rest in (("fcc", 3), ("icosahedral", 1), ("all", 4))
    ]
    for row in rows:
        assert row.keys() >= CONTRACT
        assert set(row["coverage"]) == {"0.68", "0.9", "0.95"}
        baselines = {"mean", "ridge", "forest", "sites", "from_cn1"}
        assert set(row["baseline"]) == baselines
        for name in ("cn1", "cn4"):
            assert row["mae"][name] <= row["rmse"][name]
            assert row["median_error"][name] <= row["p95_error"][name]
            # A mean over members errs less than they do.
            assert row["mae"][name] <= row["member_mae"]["mean"][name]
            assert row["member_mae"]["std"][name] > 0
    alone = [row for row in rows if row["shapes"] == "icosahedral"]
    assert all("resolved" not in row for row in alone), "one particle tells nothing"
    assert set(rows[0]["resolved"]) == set(model.descriptors)


def test_of_estimates_that_are_right_about_themselves_coverage_is_nominal(
    model, recipe, library, fitted, said_so, monkeypatch
):
    monkeypatch.setattr(samples, "DRAWS", 200)
    many = whole_particles(library, NAMES, "held-out")
    whole = list(evaluate(model, recipe, library, many, fitted, ("N1-range",)))[-1]
    assert whole["n"] == len(many.owners) > 2000
    for name in model.descriptors:
        # 2400 draws: standard errors of 1.0, 0.6 and 0.4 points; three of them.
        for level, error in (("0.68", 0.029), ("0.9", 0.019), ("0.95", 0.014)):
            covered = whole["coverage"][level][name]
            assert covered == pytest.approx(float(level), abs=error)
        for third in whole["coverage_by"]["noise"]:
            assert third["n_particles"] == len(NAMES)
            assert third["coverage"]["0.9"][name] == pytest.approx(0.9, abs=0.035)
        assert whole["z_std"][name] == pytest.approx(1, abs=0.05)
    assert whole["resolved"]["cn1"] is True
    # It errs by 0.24 Å.
    assert whole["resolved"].get("r1", False) is False


def test_rows_of_a_mixture_know_how_many_particles_are_behind_them(
    model, recipe, library, few, fitted
):
    pool = dataclasses.replace(
        few, split="in-pool", owners=("mixture",) * len(few.owners), n_particles=21
    )
    (row,) = evaluate(model, recipe, library, pool, fitted, ("recipe",))
    assert (row["shapes"], row["n_particles"]) == ("all", 21)


def test_an_evaluation_repeats_itself(model, recipe, library, few):
    first, again = (
        list(evaluate(model, recipe, library, few, None, ("N1",))) for _ in range(2)
    )
    assert first == again


def test_without_the_training_library_nothing_is_called_resolved(
    model, recipe, library, few
):
    row, *_ = evaluate(model, recipe, library, few, None, ("N1",))
    assert "resolved" not in row
    assert set(row["baseline"]) == {"mean", "ridge"}


def test_another_edge_is_refused(model, recipe, library):
    other = dataclasses.replace(library, edge="L2")
    with pytest.raises(LibraryError, match="is of Pt L2, the model reads Pt L3"):
        next(evaluate(model, recipe, other, site_mixtures(other, recipe), None))
