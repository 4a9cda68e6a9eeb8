import pytest

from xasnn_stream.training.test_sets import across_test_sets


def row(split, condition, mae, shapes="fcc", particles=8):
    return {
        "model": "m",
        "split": split,
        "condition": condition,
        "shapes": shapes,
        "n": 100,
        "n_particles": particles,
        "mae": {"cn1": mae},
        "width90": {"cn1": 1.0},
        "coverage": {"0.68": {"cn1": 0.5}, "0.9": {"cn1": 1.0 - mae / 10}},
    }


def test_the_spread_is_that_of_the_test_sets():
    (found,) = across_test_sets(
        [
            row("held-out", "N1", 0.2),
            row("held-out", "N1", 9.0, shapes="all"),
            row("held-out", "clean", 9.0),
            row("held-out", "N1x2", 0.6),
            row("new", "N1x2", 9.0),
            row("in-pool", "N1", 0.4, shapes="all", particles=21),
        ]
    )
    assert [one["split"] for one in found["sets"]] == [
        "held-out",
        "held-out",
        "in-pool",
    ]
    assert found["mae"]["cn1"] == pytest.approx(0.4)
    assert found["spread"]["mae"]["cn1"] == pytest.approx(0.2)
    assert found["coverage"]["0.9"]["cn1"] == pytest.approx(0.96)
    assert found["spread"]["coverage"]["0.9"]["cn1"] == pytest.approx(0.02)
    assert found["n_particles"] == 21


def test_one_test_set_is_no_comparison():
    assert list(across_test_sets([row("held-out", "N1", 0.2)])) == []
