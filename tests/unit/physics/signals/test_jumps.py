"""Jumps are found with their energy and height, and repaired within their error."""

import pytest
import torch

from xasnn_stream.physics.signals.glitches import find_glitches
from xasnn_stream.physics.signals.jumps import MOST, find_jumps, repair

E0 = torch.tensor([9000.0], dtype=torch.float64)


def spectrum(noise: float = 0.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A step scan of height 2 with a shell of fine structure; energies and μ."""
    k = torch.arange(3.0, 14.0, 0.05, dtype=torch.float64)
    parts = (
        torch.arange(-150.0, -30.0, 5.0),
        torch.arange(-30.0, 34.0, 0.5),
        3.81 * k**2,
    )
    x = torch.cat(parts).double().unsqueeze(0)
    k = (x.clamp(min=0) / 3.81).sqrt()
    fine = 0.3 * torch.sin(5 * k) * torch.exp(-0.015 * k**2) / (1 + k) * (k > 1.5)
    mu = 2 * (0.7 - 1e-4 * x + torch.atan(x / 1.5) / torch.pi + fine)
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(mu.shape, generator=generator, dtype=torch.float64)
    return 9000 + x, mu + 2 * noise * white


def jumping(*jumps: tuple[float, float], noise: float = 1e-3, seed: int = 0):
    energy, mu = spectrum(noise, seed)
    for at, height in jumps:
        mu = mu + 2 * height * (energy > 9000 + at)
    return energy, mu, torch.ones_like(mu, dtype=torch.bool)


@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-2])
def test_a_spectrum_without_jumps_has_none(noise):
    for seed in range(20):
        assert not find_jumps(*jumping(noise=noise, seed=seed), E0).count.any()


@pytest.mark.parametrize("at", [-60.0, 30.0, 60.0, 150.0, 400.0, 700.0])
@pytest.mark.parametrize("height", [0.3, -0.3, 0.05])
def test_a_jump_is_found_with_its_energy_and_height(at, height):
    energy, mu, valid = jumping((at, height))
    found = find_jumps(energy, mu, valid, E0)
    assert found.count.tolist() == [1]
    place = int((energy[0] > 9000 + at).nonzero()[0])
    assert energy[0, place - 1] < found.energy[0, 0] < energy[0, place]
    assert abs(found.size[0, 0] - 2 * height) < 4 * found.std[0, 0]
    assert found.std[0, 0] < 0.02
    assert found.energy[0, 1:].isnan().all()


def test_a_jump_is_no_glitch_and_a_glitch_no_jump():
    energy, mu, valid = jumping((400, 0.3))
    assert not find_glitches(energy, mu, valid, e0=E0).found.any()
    energy, mu, valid = jumping()
    mu[0, 200] += 0.2
    assert not find_jumps(energy, mu, valid, E0).count.any()


def test_the_error_of_the_height_is_honest():
    energy, _, valid = jumping((400, 0.1))
    many = torch.cat([jumping((400, 0.1), seed=seed)[1] for seed in range(200)])
    rows = len(many)
    found = find_jumps(
        energy.expand(rows, -1), many, valid.expand(rows, -1), E0.expand(rows)
    )
    assert found.count.tolist() == [1] * rows
    score = (found.size[:, 0] - 0.2) / found.std[:, 0]
    # 200 draws tell a standard deviation to 5 %.
    assert 0.8 < score.std() < 1.2
    assert score.mean().abs() < 0.5


@pytest.mark.parametrize("kind", ["additive", "factor"])
def test_a_repaired_spectrum_goes_on_as_it_was(kind):
    energy, clean = spectrum(noise=1e-4)
    behind = energy > 9300
    mu = clean + 0.4 * behind if kind == "additive" else clean * (1 - 0.2 * behind)
    valid = torch.ones_like(mu, dtype=torch.bool)
    jumps = find_jumps(energy, mu, valid, E0)
    repaired = repair(energy, mu, jumps, kind)
    torch.testing.assert_close(repaired[~behind], clean[~behind])
    assert (repaired - clean).abs().max() < 4 * jumps.std[0, 0]
    assert not find_jumps(energy, repaired, valid, E0).count.any()


def test_several_jumps_are_given_in_order_of_energy():
    energy, mu, valid = jumping((600, 0.2), (150, -0.1), (350, 0.3))
    found = find_jumps(energy, mu, valid, E0)
    assert found.count.tolist() == [3]
    assert found.size[0, :3].div(2).tolist() == pytest.approx(
        [-0.1, 0.3, 0.2], abs=0.01
    )
    assert (repair(energy, mu, found) - spectrum(1e-3)[1]).abs().max() < 0.02


def test_more_jumps_than_are_kept_are_counted():
    energy, mu, valid = jumping(*((at, 0.2) for at in (80, 150, 250, 350, 450, 600)))
    found = find_jumps(energy, mu, valid, E0)
    assert found.count.tolist() == [6]
    assert found.energy.shape == (1, MOST)
    assert found.energy.isfinite().all()


def test_a_row_without_jumps_is_left_as_it_is():
    energy, mu, valid = jumping()
    assert torch.equal(repair(energy, mu, find_jumps(energy, mu, valid, E0)), mu)


def test_another_edge_in_the_scan_is_no_jump():
    energy, mu, valid = jumping((400, 0.3))
    assert not find_jumps(energy, mu, valid, E0, others=[9400.0]).count.any()


def test_short_scans_are_not_searched():
    energy, mu, valid = jumping((-100, 0.3))
    assert not find_jumps(energy[:, :12], mu[:, :12], valid[:, :12], E0).count.any()


def test_scale_and_batch_mates_do_not_matter():
    energy, first, valid = jumping((400, 0.1))
    second = jumping((150, 0.3), seed=1)[1]
    both = find_jumps(
        energy.expand(2, -1),
        torch.cat((first, 1e4 * second)),
        valid.expand(2, -1),
        E0.expand(2),
    )
    alone = find_jumps(energy, first, valid, E0)
    torch.testing.assert_close(both.size[:1], alone.size, equal_nan=True)
    assert both.size[1, 0] / 2e4 == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("spacing", [0.2, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("off", [0.0, -15.0, 10.0])
def test_an_edge_with_its_white_line_is_no_jump_even_if_e0_is_off(spacing, off):
    relative = torch.arange(-60.0, 200.0, spacing, dtype=torch.float64)
    phases = torch.linspace(0, spacing, 5)[:-1].double().unsqueeze(-1)
    x = relative + phases
    energy = (2472.0 + relative).expand_as(x)
    e0 = torch.full((len(x),), 2472.0 + off, dtype=torch.float64)
    valid = torch.ones_like(x, dtype=torch.bool)
    for height in (0.0, 1.0, 8.0):
        line = height * torch.exp(-(((x - 0.5) / 0.6) ** 2) / 2)
        mu = 0.5 + torch.atan(x / 0.4) / torch.pi + line
        assert not find_jumps(energy, mu, valid, e0).count.any()
