import pytest
import torch

from xasnn_stream.edges import next_edge_ev
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.ranges import (
    NEXT_EDGE_MARGIN_EV,
    reach,
)
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

PT = 11564.0


def with_gold(edge, step=0.5):
    """Return a Pt L3 scan that runs over the Au L3 edge, and one without gold."""
    platinum = edge(e0=PT, stop=900.0, width=2.5)
    gold = edge(e0=11919.0, step=step, start=-505.0, stop=545.0, width=2.5, bend=0)
    return platinum.energy, platinum.mu + gold.mu, platinum.mu


def test_a_range_ends_before_the_next_edge_and_says_the_k_reached(edge):
    energy, *_ = with_gold(edge)
    batch, valid = stack([energy, energy[:400]])
    e0 = torch.tensor([PT, PT]).double()
    found = reach(batch, valid, e0, next_edge_ev("Pt", "L3", ["Au"]))
    assert found.cut.tolist() == [True, False]
    assert found.limits[1].tolist() == [355 - NEXT_EDGE_MARGIN_EV, 249.0]
    assert found.limits[0].tolist() == [-150.0, -150.0]
    # k = 0.5123·√(E - E0)
    assert found.kmax[0].item() == pytest.approx(0.51232 * 325**0.5, rel=1e-4)
    alone = reach(batch[0], None, e0, 11919.0)
    assert alone.limits[1].tolist() == [325.0, 325.0]


def test_without_another_edge_the_scan_ends_the_range(edge):
    spectrum = edge()
    energy, valid = stack([spectrum.energy])
    e0 = torch.tensor([spectrum.e0]).double()
    for following in (None, 20000.0):
        found = reach(energy, valid, e0, following)
        assert not found.cut.any()
        assert found.limits[1].item() == 399.0


def test_the_step_is_not_that_of_two_edges(edge):
    energy, mixed, pure = with_gold(edge)
    batch, valid = stack([energy])
    e0 = torch.tensor([PT]).double()
    limits = reach(batch, valid, e0, 11919.0).limits
    steps = {
        name: normalize(
            batch, torch.from_numpy(mu)[None], valid, Normalization(), e0, bounds
        ).edge_step.item()
        for name, mu, bounds in (
            ("pure", pure, limits),
            ("both", mixed, limits),
            ("unaware", mixed, None),
        )
    }
    # What is left is the tail of gold's arctangent, 1 % of its step 30 eV below it.
    assert steps["both"] == pytest.approx(steps["pure"], rel=0.01)
    assert abs(steps["unaware"] / steps["pure"] - 1) > 0.1
