import pytest
import torch

from xasnn_stream.networks.ensemble import Shape, forward, initialize

SHAPE = Shape(members=4, inputs=6, hidden=8, depth=2, outputs=3)


@pytest.fixture
def parameters():
    generator = torch.Generator().manual_seed(3)
    drawn = initialize(SHAPE, generator)
    return {name: tensor.double() for name, tensor in drawn.items()}


def inputs(rows=5):
    generator = torch.Generator().manual_seed(4)
    return torch.randn(rows, SHAPE.inputs, generator=generator, dtype=torch.float64)


def member(parameters, index):
    return {name: tensor[index : index + 1] for name, tensor in parameters.items()}


def by_hand(parameters, index, x):
    """Evaluate one member layer by layer."""
    own = {name: tensor[index] for name, tensor in parameters.items()}
    hidden = x
    for layer in ("layer0", "layer1"):
        hidden = hidden @ own[f"{layer}.weight"] + own[f"{layer}.bias"]
        hidden = hidden * torch.sigmoid(hidden)
    head = hidden @ own["head.weight"] + own["head.bias"]
    linear = x @ own["skip.weight"] + own["skip.bias"]
    return linear + head[:, :3], head[:, 3:].clamp(-10, 4)


def test_all_members_at_once_are_each_member_by_itself(parameters):
    x = inputs()
    mean, log_variance = forward(parameters, x)
    assert mean.shape == log_variance.shape == (4, 5, 3)
    for index in range(4):
        one_mean, one_log = forward(member(parameters, index), x)
        torch.testing.assert_close(mean[index], one_mean[0], rtol=0, atol=1e-14)
        torch.testing.assert_close(log_variance[index], one_log[0], rtol=0, atol=1e-14)
        hand_mean, hand_log = by_hand(parameters, index, x)
        torch.testing.assert_close(mean[index], hand_mean, rtol=0, atol=1e-14)
        torch.testing.assert_close(log_variance[index], hand_log, rtol=0, atol=1e-14)


def test_members_may_have_inputs_of_their_own(parameters):
    x = torch.stack([inputs() + k for k in range(4)])
    mean, _ = forward(parameters, x)
    for index in range(4):
        alone, _ = forward(parameters, x[index])
        torch.testing.assert_close(mean[index], alone[index], rtol=0, atol=1e-14)


def test_rows_do_not_see_each_other(parameters):
    x = inputs()
    spoiled = x.clone()
    spoiled[2] = torch.nan
    mean, _ = forward(parameters, x)
    beside, _ = forward(parameters, spoiled)
    keep = [0, 1, 3, 4]
    torch.testing.assert_close(beside[:, keep], mean[:, keep], rtol=0, atol=1e-14)
    assert beside[:, 2].isnan().all()


def test_many_rows_are_the_same_rows(parameters):
    x = inputs(300)
    mean, log_variance = forward(parameters, x)
    for rows in (slice(0, 40), slice(120, 140), slice(299, 300)):
        few_means, few_logs = forward(parameters, x[rows])
        torch.testing.assert_close(mean[:, rows], few_means, rtol=0, atol=1e-14)
        torch.testing.assert_close(log_variance[:, rows], few_logs, rtol=0, atol=1e-14)


def test_a_variance_stays_within_its_bounds(parameters):
    _, log_variance = forward(parameters, 1e4 * inputs(50))
    assert log_variance.max().item() == 4.0
    assert log_variance.min().item() == -10.0


def test_members_start_different_and_a_seed_repeats_them():
    first = initialize(SHAPE, torch.Generator().manual_seed(3))
    again = initialize(SHAPE, torch.Generator().manual_seed(3))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name])
    weights = first["layer0.weight"]
    assert not torch.equal(weights[0], weights[1])
    assert weights.abs().max() <= SHAPE.inputs**-0.5
