import pytest
import torch

from xasnn_stream.uncertainty.metrics import (
    auroc,
    coverage,
    crps,
    quantile,
    r2,
    spearman,
    standardized,
    winkler,
)


def column(*values):
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def test_coverage_counts_the_ends_as_inside():
    truth, low, high = column(1, 2, 3, 4), column(1, 0, 3.1, 0), column(2, 2, 5, 3.9)
    assert coverage(truth, low, high).item() == 0.5


def test_a_winkler_score_is_width_plus_penalty():
    # Width 2; misses of 0.5 below and 1 above cost 20 times as much at 90 %.
    truth, low, high = column(1, -0.5, 3), column(0, 0, 0), column(2, 2, 2)
    assert winkler(truth, low, high, 0.9).item() == pytest.approx(2 + 20 * 1.5 / 3)
    assert winkler(truth, low, high, 0.5).item() == pytest.approx(2 + 4 * 1.5 / 3)


def test_the_best_interval_is_the_quantile_range():
    normal = torch.randn(20000, 1, generator=torch.Generator().manual_seed(0)).double()
    scores = {
        half: winkler(normal, -half + 0 * normal, half + 0 * normal, 0.9).item()
        for half in (1.2, 1.4, 1.645, 1.9, 2.2)
    }
    assert min(scores, key=scores.get) == 1.645


def test_r2_of_perfect_mean_and_constant_truths():
    truth = torch.tensor([[1.0, 5.0], [3.0, 5.0]]).double()
    assert r2(truth, truth)[0].item() == 1.0
    assert r2(truth, truth.mean(0).expand(2, -1))[0].item() == 0.0
    assert r2(truth, truth)[1].isnan()


def test_auroc_is_one_half_or_more_generally_a_probability():
    inside, above = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0])
    assert auroc(inside, above) == 1.0
    assert auroc(above, inside) == 0.0
    assert auroc(inside, torch.tensor([2.5])) == pytest.approx(2 / 3)
    # Two orders over the same scores, and ties, tell nothing apart.
    assert auroc(inside, inside.flip(0)) == pytest.approx(0.5)
    assert auroc(torch.zeros(7), torch.zeros(3)) == 0.5


def test_weights_let_every_particle_count_once():
    # A particle with three draws inside its interval, another with one outside.
    truth, low, high = column(0, 0, 0, 5), column(-1, -1, -1, 0), column(1, 1, 1, 1)
    each = torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0])
    assert coverage(truth, low, high).item() == 0.75
    assert coverage(truth, low, high, each).item() == pytest.approx(0.5)
    # Widths 2, 2, 2 and 1, the last missed by 4: 1 + 20·4.
    score = winkler(truth, low, high, 0.9, each).item()
    assert score == pytest.approx((2 + 81) / 2)


def test_a_weighted_quantile_is_reached_by_weight():
    values = column(1, 2, 3, 4)
    assert quantile(values, 0.5).item() == 2
    assert quantile(values, 0.75).item() == 3
    heavy = torch.tensor([1.0, 1.0, 1.0, 7.0])
    assert quantile(values, 0.5, heavy).item() == 4
    assert quantile(values, 0.3, heavy).item() == 3


def test_the_probability_score_of_a_normal_is_the_integral_of_its_definition():
    truth, value, std = column(1.3), column(0.4), column(0.7)
    x = torch.linspace(-8, 8, 160001).double()
    below = torch.special.ndtr((x - value.item()) / std.item())
    defined = torch.trapezoid((below - (x >= truth.item()).double()).square(), x)
    # The step of the truth is met to the grid's 1e-4.
    assert crps(truth, value, std).item() == pytest.approx(defined.item(), abs=1e-4)


def test_standardized_errors_of_a_std_that_is_half_too_small():
    normal = torch.randn(20000, 1, generator=torch.Generator().manual_seed(1)).double()
    zero = torch.zeros_like(normal)
    centre, spread = standardized(normal + 0.5, zero, zero + 0.5)
    # Errors of 20000 draws: 2/√20000 and 2/√40000.
    assert centre.item() == pytest.approx(1.0, abs=0.05)
    assert spread.item() == pytest.approx(2.0, abs=0.04)


def test_rank_correlation_ignores_the_scale_and_needs_variation():
    first = column(1, 2, 3, 4)
    assert spearman(first, first.exp()).item() == pytest.approx(1.0)
    assert spearman(first, -first).item() == pytest.approx(-1.0)
    assert spearman(first, column(1, 1, 1, 1)).isnan()
    # Σd² = 2 of 4: 1 - 6·2 / (4·15).
    assert spearman(first, column(2, 1, 3, 4)).item() == pytest.approx(0.8)
