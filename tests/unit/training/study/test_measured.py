import pytest
import torch

from tests.conftest import MEASURED
from xasnn_stream.training.study.measured import bending, mixtures, read_known

SHARES = torch.linspace(0, 1, 5)


def test_a_straight_line_does_not_bend():
    line = 12 - 3 * SHARES
    assert bending(torch.cat((line, 2 * line)).unsqueeze(0)) == 0


def test_the_largest_distance_from_the_line_counts():
    line = 12 - 3 * SHARES
    bent = line.clone()
    bent[1] += 0.7
    bent[2] -= 0.2
    found = bending(torch.stack((torch.cat((line, bent)), torch.cat((line, line)))))
    torch.testing.assert_close(found, torch.tensor([0.7, 0.0]))


@pytest.mark.measured
def test_measured_samples_come_as_networks_see_theory(on):
    known = read_known(MEASURED, on)
    assert known.names[0] == "foil"
    assert known.cn1[0] == 12
    assert all(8.5 < cn1 < 10.5 for cn1 in known.cn1[1:])
    difference, absolute = known.views.difference, known.views.absolute
    assert difference.shape == absolute.shape == (len(known.names), len(on.grid))
    # Two laboratories' foils agree better than a particle with a foil.
    rms = difference.square().mean(-1).sqrt()
    assert rms[0] < 0.6 * rms[1:].min()
    # Above the edge all are absorption in units of the edge step.
    assert (absolute[:, on.grid > 20].mean(-1) - 1).abs().max() < 0.05


@pytest.mark.measured
def test_mixtures_run_from_the_foil_to_each_particle(on):
    known = read_known(MEASURED, on)
    mixed = mixtures(known).difference.unflatten(0, (-1, len(SHARES)))
    particles = known.views.difference[1:]
    torch.testing.assert_close(mixed[:, 0], known.views.difference[:1].expand(4, -1))
    torch.testing.assert_close(mixed[:, -1], particles)
    torch.testing.assert_close(mixed[:, 2], (mixed[:, 0] + particles) / 2)
