import dataclasses

import pytest
import torch

from xasnn_stream.engine.model import Model, load_model
from xasnn_stream.library import Library, read_library
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.training import baselines
from xasnn_stream.training.baselines import Baselines
from xasnn_stream.training.nuisances import Stage, stage
from xasnn_stream.training.recipe import Recipe, read_recipe

RECIPE = shipped_folder("models") / "pt-l3-xanes" / "recipe.yaml"


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The shipped recipe with a small pool."""
    shipped = read_recipe(RECIPE)
    fit = dataclasses.replace(shipped.fit, pool=2500)
    return dataclasses.replace(shipped, fit=fit)


@pytest.fixture(scope="session")
def library(recipe) -> Library:
    return read_library(recipe.library)


@pytest.fixture(scope="session")
def on(library, recipe) -> Stage:
    return stage(library, recipe.input)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(17)


@pytest.fixture(scope="session")
def model() -> Model:
    """The shipped model."""
    return load_model(RECIPE.parent)


@pytest.fixture(scope="session")
def fitted(model, recipe, library) -> Baselines:
    """Baselines with a forest that is planted in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "_FOREST_DRAWS", 600)
        patch.setattr(baselines, "_TREES", 20)
        return baselines.fit_baselines(model, recipe, library)
