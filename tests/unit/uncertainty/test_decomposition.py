import torch

from xasnn_stream.uncertainty.decomposition import Parts, independent, propagate

GENERATOR = torch.Generator().manual_seed(1)
MATRIX = torch.randn(3, 7, generator=GENERATOR, dtype=torch.float64)
DIFFERENCE = torch.randn(5, 7, generator=GENERATOR, dtype=torch.float64)
NOISE = 0.1 + torch.rand(5, 7, generator=GENERATOR, dtype=torch.float64)
DIRECTIONS = torch.randn(5, 2, 7, generator=GENERATOR, dtype=torch.float64)


def linear(x):
    return x @ MATRIX.T + 4.0


def test_errors_go_through_a_linear_map_as_its_covariance():
    found = propagate(linear, DIFFERENCE, independent(NOISE), DIRECTIONS)
    for row in range(5):
        # C = diag(σ²) + Σ d dᵀ over the correlated errors; output A C Aᵀ.
        covariance = torch.diag(NOISE[row] ** 2)
        for direction in DIRECTIONS[row]:
            covariance = covariance + torch.outer(direction, direction)
        expected = (MATRIX @ covariance @ MATRIX.T).diagonal().sqrt()
        torch.testing.assert_close(found[row], expected, rtol=1e-12, atol=0)


def test_a_correlated_error_can_cancel_where_noise_cannot():
    weights = torch.tensor([[1.0, -1.0]]).double()
    zero = torch.zeros(1, 2).double()
    together = torch.ones(1, 1, 2).double()

    def difference(x):
        return x @ weights.T

    apart = propagate(difference, zero, independent(zero + 1), 0 * together)
    assert propagate(difference, zero, independent(zero), together).item() == 0.0
    assert apart.item() == torch.tensor(2.0).double().sqrt().item()


def test_no_directions_and_no_noise_are_no_error():
    none = DIRECTIONS[:, :0]
    assert (propagate(linear, DIFFERENCE, independent(0 * NOISE), none) == 0).all()


def test_a_curved_map_is_taken_to_first_order():
    found = propagate(torch.square, DIFFERENCE, independent(NOISE), DIRECTIONS[:, :0])
    torch.testing.assert_close(found, 2 * DIFFERENCE.abs() * NOISE)


def test_it_works_where_gradients_are_off():
    with torch.no_grad():
        found = propagate(linear, DIFFERENCE, independent(NOISE), DIRECTIONS)
    assert not found.requires_grad
    assert (found > 0).all()


def test_parts_add_in_quadrature():
    three, four, twelve = (torch.full((2, 3), x) for x in (3.0, 4.0, 12.0))
    parts = Parts(value=three, model=three, noise=four, ambiguity=twelve)
    assert (parts.std == 13.0).all()
