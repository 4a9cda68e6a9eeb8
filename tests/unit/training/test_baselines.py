import pytest
import torch

from xasnn_stream.physics.instrument import NONE
from xasnn_stream.training.baselines import estimates, fit_from_cn1, predict_from_cn1
from xasnn_stream.training.mixtures import labels, particle_weights
from xasnn_stream.training.nuisances import differences
from xasnn_stream.training.scored import as_double


@pytest.fixture(scope="module")
def simpler(model, recipe, library, on, fitted):
    """Estimates of clean spectra of training sites mixed, with their truth."""
    name = model.manifest["training_particles"][3]
    bulk = particle_weights(library, "bulk", 1.0)
    share = torch.linspace(0, 0.9, 10).unsqueeze(-1)
    weights = (1 - share) * particle_weights(library, name, 1.0) + share * bulk
    drawn = differences(on, weights, NONE, torch.Generator().manual_seed(0))
    truth = labels(library, weights, model.descriptors).double()
    return estimates(model, fitted, as_double(drawn, "cpu"), truth), truth


def test_all_five_baselines_speak(simpler):
    found, truth = simpler
    assert set(found) == {"mean", "ridge", "forest", "sites", "from_cn1"}
    assert all(value.shape == truth.shape for value in found.values())


def test_the_mean_is_the_same_for_every_spectrum(simpler, model):
    found, _ = simpler
    assert found["mean"].std(0).max() == 0
    assert torch.equal(found["mean"][0], model.tensors["scaling.output_mean"])


def test_the_fit_of_sites_finds_mixtures_of_those_sites(simpler):
    found, truth = simpler
    error = (found["sites"] - truth).abs().mean(0)
    spread = (truth - truth.mean(0)).abs().mean(0)
    # Alignment on the own edge is not linear in the mixture, nothing else is missing.
    assert (error[:4] < 0.25 * spread[:4]).all()


def test_the_forest_is_better_than_the_mean(simpler):
    found, truth = simpler
    forest, mean = ((found[key] - truth).abs().mean(0) for key in ("forest", "mean"))
    assert (forest[:4] < mean[:4]).all()


def test_what_cn1_is_told_is_no_estimate_of_cn1(simpler, model):
    found, _ = simpler
    told = found["from_cn1"].isnan().any(0).tolist()
    names = dict(zip(model.descriptors, told, strict=True))
    assert {"cn1", "r1"} & set(names) <= {name for name, gone in names.items() if gone}
    assert not any(names[name] for name in ("cn2", "cn3", "cn4"))


def test_without_the_training_library_only_stored_baselines_speak(model, recipe, on):
    weights = torch.zeros(3, len(on.mu))
    weights[:, 0] = 1
    drawn = as_double(differences(on, weights, NONE, torch.Generator()), "cpu")
    truth = torch.zeros(3, len(model.descriptors), dtype=torch.float64)
    assert set(estimates(model, None, drawn, truth)) == {"mean", "ridge"}


def test_a_cubic_of_cn1_is_found_exactly():
    cn1 = torch.linspace(4, 12, 30)
    cubic = 0.5 * cn1 - 0.1 * cn1**2 + 0.02 * cn1**3
    curve = fit_from_cn1(torch.stack((cn1, cubic), -1))
    at = torch.tensor([5.0, 11.0])
    expected = 0.5 * at - 0.1 * at**2 + 0.02 * at**3
    # Least squares in float64 of labels in float32.
    assert torch.allclose(
        predict_from_cn1(curve, at)[:, 0].float(), expected, rtol=1e-4
    )
