import pytest

from xasnn_stream.training.bars import bars
from xasnn_stream.training.card_tables import bars_table

NAMES = ("cn1", "cn2", "cn3", "cn4", "r1")


def each(value, **other):
    return dict.fromkeys(NAMES, value) | other


def row(split="held-out", condition="N1", shapes="fcc", **changes):
    whole = {
        "split": split,
        "condition": condition,
        "shapes": shapes,
        "n": 2000,
        "n_particles": 8,
        "mae": each(0.2, r1=0.002),
        "rel_mae_bulk": dict.fromkeys(NAMES[:4], 0.02),
        "resolved": each(True),
        "baseline": {"mean": {"mae": each(2.0, r1=0.03)}},
        "coverage": {"0.68": each(0.68), "0.9": each(0.9), "0.95": each(0.95)},
    }
    return whole | changes


@pytest.fixture
def good():
    """Rows of a model that meets every bar."""
    thirds = [row() for _ in range(3)]
    return [
        *(
            row(condition=condition)
            for condition in ("N1", "noise", "N1+noise", "N1x2")
        ),
        row(shapes="all"),
        row("held-out, with bulk", shapes="all"),
        row(condition="N1-range", shapes="all", coverage_by={"cn1": thirds}),
        row("in-pool", shapes="all"),
        row("in-pool", "recipe", "all"),
    ]


def missed(rows, scales=(0.96, 0.98, 1.0)):
    return [bar.about for bar in bars(rows, scales) if bar.met is False]


def changed(rows, at, **changes):
    return [row | changes if i == at else row for i, row in enumerate(rows)]


def test_a_model_that_meets_every_bar_misses_none(good):
    found = bars(good, (0.96, 0.98, 1.0))
    assert missed(good) == []
    assert len(found) == 3 * 4 + 1 + 1 + 2 + 3 + 1 + 1
    published = [bar for bar in found if bar.met is None]
    assert ["twice N1" in bar.about for bar in published] == [True]


def test_a_shell_too_far_off_is_missed_at_its_own_limit(good):
    errors = {"cn1": 0.026, "cn2": 0.044, "cn3": 0.051, "cn4": 0.044}
    found = missed(changed(good, 0, rel_mae_bulk=errors))
    assert [about.split(",")[0] for about in found] == [
        "MAE/bulk of cn1",
        "MAE/bulk of cn3",
    ]


def test_r1_needs_three_scales_and_a_third_of_the_means_error(good):
    (found,) = missed(good, scales=(0.98, 1.0))
    assert found.startswith("MAE of r1")
    far = changed(good, 0, mae=each(0.2, r1=0.0101), baseline=good[0]["baseline"])
    assert len(missed(far)) == 1


def test_an_unresolved_shell_is_named(good):
    rows = changed(good, 0, resolved=each(True, cn3=False))
    (bar,) = [bar for bar in bars(rows, (0.96, 0.98, 1.0)) if bar.met is False]
    assert bar.found == "not resolved: cn3"
    assert "| not resolved: cn3 | **no** |" in bars_table([bar])


def test_coverage_in_pool_may_be_neither_too_low_nor_too_high(good):
    for off in (0.0201, -0.0201):
        covered = good[7]["coverage"] | {"0.9": each(0.9, cn4=0.9 + off)}
        (found,) = missed(changed(good, 7, coverage=covered))
        assert found.startswith("coverage in-pool, N1")


def test_left_out_particles_are_judged_at_68_and_90_only_from_below(good):
    high = {"0.68": each(0.9), "0.9": each(0.99), "0.95": each(0.5)}
    assert missed(changed(good, 4, coverage=high)) == []
    low = good[4]["coverage"] | {"0.9": each(0.9, cn2=0.819)}
    (found,) = missed(changed(good, 4, coverage=low))
    assert found.startswith("coverage of held-out, all shapes, N1")


def test_the_worst_third_decides(good):
    low = row(coverage={"0.68": each(0.68), "0.9": each(0.9, cn1=0.779)})
    rows = changed(good, 6, coverage_by={"cn1": [row(), low, row()]})
    (bar,) = [bar for bar in bars(rows, (0.96, 0.98, 1.0)) if bar.met is False]
    assert bar.found == "lowest 78% of cn1 at 90%"
    assert "8/8/8 particles" in bar.about


def test_novelty_is_judged_by_its_mean_its_worst_family_and_its_false_alarms(good):
    area = {"glitch": 0.99, "oxide": 0.93, "mean": 0.96}
    noticed = changed(good, 4, novelty_auroc=area)
    quiet = row(condition="clean", shapes="all", novelty_doubted={"none": 0.02})
    assert missed([*noticed, quiet]) == []
    weak = changed(good, 4, novelty_auroc=area | {"oxide": 0.84})
    loud = row(condition="clean", shapes="all", novelty_doubted={"none": 0.021})
    first, second = missed([*weak, loud])
    assert first == "AUROC of novelty, left-out, N1, 2 families"
    assert second == "false alarms, clean left-out"


def test_what_was_not_evaluated_has_no_bar():
    assert bars([], (1.0,)) == []
