import torch

from xasnn_stream.uncertainty.conformal import particle_quantile


def column(*scores):
    return torch.tensor(scores, dtype=torch.float64).unsqueeze(-1)


def test_with_one_draw_each_it_is_the_conformal_order_statistic():
    # n = 9: level 0.8·10/9 of weights 1/9 is reached by the 8th smallest.
    scores = torch.randperm(9, generator=torch.Generator().manual_seed(0)).double() + 1
    found = particle_quantile(scores.unsqueeze(-1), torch.arange(9), 0.8)
    assert found.item() == 8.0


def test_a_particle_has_one_weight_however_often_it_is_drawn():
    # Nine particles scoring 1 to 9; the best is drawn a thousand times.
    scores = column(*[1.0] * 1000, *range(2, 10))
    particle = torch.tensor([0] * 1000 + list(range(1, 9)))
    assert particle_quantile(scores, particle, 0.8).item() == 8.0


def test_draws_of_a_particle_share_its_weight():
    # Two particles: one half scores 1 and 3, the other 2 and 4, each draw a quarter.
    scores, particle = column(1, 3, 2, 4), torch.tensor([5, 5, 7, 7])
    # Levels times (n + 1)/n = 3/2.
    for level, expected in ((0.16, 1.0), (0.33, 2.0), (0.5, 3.0), (0.6, 4.0)):
        assert particle_quantile(scores, particle, level).item() == expected


def test_few_particles_give_the_largest_score():
    # Four particles cannot support 90 %: 0.9·5/4 > 1.
    found = particle_quantile(column(1, 2, 3, 40), torch.arange(4), 0.9)
    assert found.item() == 40.0


def test_outputs_are_calibrated_apart_in_any_order():
    scores = torch.stack((torch.arange(1.0, 10), torch.arange(90.0, 0, -10)), -1)
    found = particle_quantile(scores, torch.arange(9), 0.8)
    assert found.tolist() == [8.0, 80.0]


def test_coverage_of_new_particles_is_what_was_promised():
    rng = torch.Generator().manual_seed(2)
    covered = []
    for _ in range(300):
        spread = torch.rand(21, 1, generator=rng) + 0.5
        scores = (spread * torch.randn(21, 20, generator=rng)).abs()
        owner = torch.arange(20).repeat_interleave(20)
        calibration = scores[:20].reshape(-1, 1)
        quantile = particle_quantile(calibration, owner, 0.9)
        covered.append((scores[20] <= quantile).double().mean())
    # At least the level and at most the level taken, 0.9·21/20 = 0.945; 300 new particles
    # whose coverages scatter by 0.1 know the mean to 0.006.
    assert 0.9 - 0.012 < float(torch.stack(covered).mean()) < 0.945 + 0.012
