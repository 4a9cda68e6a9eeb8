"""With the true sizes of nuisances, undoing brings a difference back to the clean one."""

from dataclasses import replace

import pytest
import torch

from xasnn_stream.physics.instrument import NONE
from xasnn_stream.training.mixtures import particle_weights
from xasnn_stream.training.nuisances import measured
from xasnn_stream.training.study.undo import ESTIMATED, nuisance_labels, undo
from xasnn_stream.training.study.views import views

DRAWS = 20


@pytest.fixture
def weights(library):
    return particle_weights(library, "cubo55", 1.0).expand(DRAWS, -1)


def difference_and_sizes(on, weights, nuisances, rng):
    pair = measured(on, weights, nuisances, rng)
    sizes = {k: size.reshape(-1, len(weights)) for k, size in pair.sizes.items()}
    return views(on, pair).difference, nuisance_labels(sizes)


def rms(values):
    return values.square().mean().sqrt()


@pytest.mark.parametrize(
    ("ranges", "left"),
    [
        # A wrong step moves the levels edges are aligned at, which is not undone.
        ({"edge_step": (-0.012, 0.012)}, 0.25),
        ({"slope_per_100ev": (-0.012, 0.012)}, 0.1),
        ({"amplitude": (0.85, 1.05)}, 0.15),
        ({"stretch": (1.0, 1.05)}, 0.2),
        # Between edge and white line the width moves the edges as well.
        ({"broadening": (0.0, 3.0)}, 0.6),
    ],
)
def test_a_nuisance_of_known_size_is_undone(on, weights, rng, ranges, left):
    widest = replace(NONE, broadening=(3.0, 3.0))
    clean, _ = difference_and_sizes(on, weights, widest, rng)
    spoiled, sizes = difference_and_sizes(on, weights, replace(widest, **ranges), rng)
    undone = undo(on, spoiled, sizes)
    assert rms(spoiled - clean) > 1e-3
    assert rms(undone - clean) < left * rms(spoiled - clean)


def test_labels_compare_the_sample_with_its_foil():
    sizes = {
        "edge_step": torch.tensor([[0.01], [-0.01]]),
        "slope_per_100ev": torch.tensor([[0.002], [0.005]]),
        "stretch": torch.tensor([[1.03]]),
        "energy_scale": torch.tensor([[0.004], [0.002]]),
        "broadening": torch.tensor([[3.0]]),
        "resolution": torch.tensor([[4.0], [4.0]]),
        "amplitude": torch.tensor([[0.9]]),
    }
    found = dict(zip(ESTIMATED, nuisance_labels(sizes)[0].tolist(), strict=True))
    assert found == pytest.approx(
        {
            "step": 1.01 / 0.99 - 1,
            "slope": -0.003,
            "stretch": 1.033,
            "width": 5.0,
            "amplitude": 0.9,
        },
        rel=1e-5,
    )
