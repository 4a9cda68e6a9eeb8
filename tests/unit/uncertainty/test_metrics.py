import pytest
import torch

from xasnn_stream.uncertainty.metrics import auroc, coverage, r2, winkler


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
