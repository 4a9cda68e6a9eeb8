import pytest
import torch
from torch.nn import functional

from xasnn_stream.networks.architectures import ARCHITECTURES, architecture_of
from xasnn_stream.networks.ensemble import Shape, forward, initialize

SHAPE = Shape(members=3, inputs=31, hidden=8, depth=2, outputs=2)


@pytest.fixture(params=sorted(ARCHITECTURES))
def name(request):
    return request.param


@pytest.fixture
def parameters(name):
    drawn = initialize(SHAPE, torch.Generator().manual_seed(3), name)
    return {key: tensor.double() for key, tensor in drawn.items()}


def inputs(rows=5):
    generator = torch.Generator().manual_seed(4)
    return torch.randn(rows, SHAPE.inputs, generator=generator, dtype=torch.float64)


def test_parameters_tell_their_architecture(name, parameters):
    assert architecture_of(parameters) == name


def test_members_equal_each_member_alone(parameters):
    x = inputs()
    mean, log_variance = forward(parameters, x)
    assert mean.shape == log_variance.shape == (3, 5, 2)
    for index in range(SHAPE.members):
        own = {key: tensor[index : index + 1] for key, tensor in parameters.items()}
        alone, alone_log = forward(own, x)
        torch.testing.assert_close(mean[index], alone[0], rtol=0, atol=1e-14)
        torch.testing.assert_close(
            log_variance[index], alone_log[0], rtol=0, atol=1e-14
        )
    assert not torch.allclose(mean[0], mean[1])


def test_a_row_does_not_see_its_batch(parameters):
    x = inputs()
    together, _ = forward(parameters, x)
    alone, _ = forward(parameters, x[2:3])
    torch.testing.assert_close(together[:, 2:3], alone, rtol=0, atol=1e-14)
    x[0] = torch.nan
    beside, _ = forward(parameters, x)
    torch.testing.assert_close(beside[:, 1:], together[:, 1:], rtol=0, atol=1e-14)


def test_every_parameter_learns_from_mean_or_variance(parameters):
    for tensor in parameters.values():
        tensor.requires_grad_(True)
    mean, log_variance = forward(parameters, inputs())
    (mean.square().sum() + log_variance.square().sum()).backward()
    for key, tensor in parameters.items():
        assert tensor.grad is not None, key
        assert tensor.grad.abs().sum() > 0, key


def test_the_mean_has_a_gradient_in_every_bin(parameters):
    x = inputs().requires_grad_(True)
    mean, _ = forward(parameters, x)
    (gradient,) = torch.autograd.grad(mean.sum(), x)
    assert (gradient.abs().sum(0) > 0).all()


def test_the_first_filters_are_a_convolution_of_the_spectrum():
    drawn = initialize(SHAPE, torch.Generator().manual_seed(3), "cnn")
    x = inputs().float()
    weight = drawn["filter0.weight"][1].T.unsqueeze(1)
    filtered = functional.silu(
        functional.conv1d(x[:, None, :-1], weight, stride=2, padding=4)
    )
    weight = drawn["filter1.weight"][1].T.unflatten(1, (8, 9))
    filtered = functional.silu(functional.conv1d(filtered, weight, stride=2, padding=4))
    found = torch.cat((filtered.transpose(1, 2).flatten(1), x[:, -1:]), -1)
    for layer in ("layer0", "layer1"):
        found = functional.silu(found @ drawn[f"{layer}.weight"][1])
    expected = (found @ drawn["head.weight"][1])[:, :2] + x @ drawn["skip.weight"][1]
    mean, _ = forward(drawn, x)
    torch.testing.assert_close(mean[1], expected, rtol=1e-4, atol=1e-5)


def test_a_linear_network_is_linear():
    drawn = initialize(SHAPE, torch.Generator().manual_seed(3), "linear")
    parameters = {key: tensor.double() for key, tensor in drawn.items()}
    one, other = inputs(2)
    shares = torch.linspace(0, 1, 5, dtype=torch.float64).unsqueeze(-1)
    mean, _ = forward(parameters, shares * one + (1 - shares) * other)
    torch.testing.assert_close(mean.diff(n=2, dim=1), torch.zeros(3, 3, 2).double())
