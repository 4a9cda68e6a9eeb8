"""Families of flaws and the limits of novelty, on the shipped model and its library."""

import pytest
import torch

from xasnn_stream.engine.model import load_model
from xasnn_stream.errors import ModelError
from xasnn_stream.library import read_library
from xasnn_stream.physics.instrument import N1, NONE
from xasnn_stream.shipped import model_folder
from xasnn_stream.training.conditions import conditions
from xasnn_stream.training.novelty_families import (
    FAMILIES,
    notice,
    read_amplitudes,
    spoiled,
)
from xasnn_stream.training.nuisances import measured, stage, subtracted
from xasnn_stream.training.recipe import read_recipe
from xasnn_stream.training.samples import whole_particles

FALSE_ALARMS = 0.02
MEAN_AUROC, LEAST_AUROC = 0.95, 0.85


@pytest.fixture(scope="module")
def shipped():
    """The shipped model, its recipe, and held-out particles on its stage."""
    folder = model_folder("pt-l3-xanes")
    recipe = read_recipe(folder / "recipe.yaml")
    library = read_library(recipe.library)
    samples = whole_particles(library, recipe.held_out, "held-out")
    return load_model(folder), stage(library, recipe.input), samples.weights


@pytest.fixture
def pairs(shipped):
    """A function: every so many particles under nuisances."""
    _, on, weights = shipped

    def draw(nuisances, every=25):
        return measured(
            on, weights[::every], nuisances, torch.Generator().manual_seed(3)
        )

    return draw


def test_the_committed_flaws_are_noticed_and_clean_particles_are_not(shipped, pairs):
    model, on, _ = shipped
    pair = pairs(conditions(N1)["N1"], every=1)
    found = notice(model, on, pair).summary()
    area = found["novelty_auroc"]
    assert area.keys() == {*FAMILIES, "mean"}
    assert area["mean"] >= MEAN_AUROC
    assert min(area.values()) >= LEAST_AUROC
    assert found["novelty_doubted"]["none"] <= FALSE_ALARMS


def test_every_family_but_the_shift_changes_the_difference(shipped, pairs):
    _, on, _ = shipped
    pair = pairs(NONE)
    before = subtracted(on, pair)
    for family, amplitude in read_amplitudes().items():
        after = spoiled(on, pair, family, amplitude)
        change = (after.values - before.values).abs().amax(-1)
        shift = (after.edge_shift - before.edge_shift).abs()
        if family == "energy_shift":
            # Cubic interpolation between points 0.5 eV apart.
            assert change.max() < 0.01
            assert shift.tolist() == pytest.approx([amplitude] * len(shift), abs=0.02)
        else:
            assert change.min() > 0.01, family


def test_flaws_leave_the_foil_and_the_clean_curves_alone(shipped, pairs):
    _, on, _ = shipped
    pair = pairs(N1)
    sample, foil = pair.sample.clone(), pair.foil.clone()
    for family, amplitude in read_amplitudes().items():
        spoiled(on, pair, family, amplitude)
    assert torch.equal(pair.sample, sample)
    assert torch.equal(pair.foil, foil)


def test_scores_of_some_rows_are_theirs(shipped, pairs):
    model, on, _ = shipped
    every = notice(model, on, pairs(N1, every=10))
    half = every.only(range(0, len(every.rows) * 4, 8))
    assert half.rows == every.rows[::2]
    assert torch.equal(half.clean, every.clean[::2])
    assert torch.equal(half.flawed["oxide"], every.flawed["oxide"][::2])


@pytest.mark.parametrize(
    "text", ["[", "schema: xasnn.novelty-families/1", "families: {}"]
)
def test_a_file_without_every_family_is_refused(tmp_path, text):
    path = tmp_path / "families.yaml"
    path.write_text(text)
    with pytest.raises(ModelError, match="families"):
        read_amplitudes(path)
