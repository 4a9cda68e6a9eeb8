"""Where an estimate has a size and a shape, and that both come of it alone."""

import json
import shutil

import numpy as np
import pytest

from xasnn_stream.engine.model import load_model
from xasnn_stream.errors import ModelError
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.size.particle import size_of

SHIPPED = shipped_folder("models") / "pt-l3-xanes"


def of_shells(model):
    """Return the part of a model's correlation that is of cn1…cn4."""
    correlation = model.correlation
    return None if correlation is None else correlation[:4, :4]


@pytest.fixture
def with_correlation(tmp_path):
    """A function: the shipped model with a correlation in its manifest."""

    def make(correlation):
        folder = shutil.copytree(SHIPPED, tmp_path / "model")
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["calibration"]["correlation"] = correlation
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return make


def test_a_believable_estimate_has_the_size_of_its_descriptors(engine, sweep):
    (estimate,) = engine.estimate([sweep("to38")])
    assert estimate.verdict in ("ok", "caution")
    correlation = of_shells(load_model(SHIPPED))
    assert estimate.size == size_of(estimate.descriptors, correlation, "Pt")
    found = estimate.document()["size"]
    low, high = found["atoms"]["interval"]
    assert low < found["atoms"]["value"] < high
    assert found["diameter"]["unit"] == "angstrom"
    assert found["shapes"][0].keys() >= {"name", "probability"}


def test_a_larger_particle_is_read_as_larger(engine, sweep):
    small, large = engine.estimate([sweep("to38"), sweep("cubo147")])
    assert small.size.atoms.value < large.size.atoms.value


def test_what_is_outside_or_rejected_has_no_size(engine, sweep, absorption):
    energy = sweep("to38").energy_ev
    hole = (energy < 11590) | (energy > 11600)
    gap = sweep(energy=energy[hole], mu=absorption("to38", energy[hole]))
    flat = sweep(mu=np.full(len(energy), 0.5))
    outside, rejected = engine.estimate([gap, flat])
    assert (outside.verdict, outside.size) == ("outside", None)
    assert (rejected.verdict, rejected.size) == ("rejected", None)


def test_the_manifest_s_correlation_is_used(with_correlation):
    matrix = np.full((5, 5), 0.4) + 0.6 * np.eye(5)
    model = load_model(with_correlation(matrix.tolist()))
    np.testing.assert_array_equal(model.correlation, matrix)


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3).tolist(),
        (2 * np.eye(5)).tolist(),
        np.triu(np.full((5, 5), 0.5)).tolist(),
        [["a"] * 5] * 5,
    ],
    ids=["of three", "above one", "not symmetric", "words"],
)
def test_a_correlation_that_is_none_is_refused(with_correlation, matrix):
    with pytest.raises(ModelError, match=r"manifest\.json is damaged"):
        load_model(with_correlation(matrix))
