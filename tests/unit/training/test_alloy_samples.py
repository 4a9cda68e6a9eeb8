"""What is known of an alloy without reading its spectrum."""

import dataclasses

import pytest

from xasnn_stream.library import read_library
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.training.alloy_samples import errors_from_lattice
from xasnn_stream.training.recipe import read_recipe

RECIPE = shipped_folder("models") / "pdau-xanes" / "recipe.yaml"


@pytest.fixture
def recipe():
    return read_recipe(RECIPE, "Pd_K")


@pytest.fixture
def library(recipe):
    return read_library(recipe.library)


def test_numbers_that_follow_the_lattice_are_told_by_it(recipe, library):
    share = (library.r1 - library.r1.min()) / 0.2
    told = dataclasses.replace(
        library,
        columns={
            "cn_pd_pd": library.cn[:, 0] * 0.0 + share * 3 + 1,
            "cn_pd_au": library.cn[:, 0] * 0.5,
        },
    )
    # Lattices within a sampled particle are one; only the mean of products may differ.
    assert max(errors_from_lattice(recipe, told).values()) < 1e-4


def test_arrangement_is_not_told_by_the_lattice(recipe, library):
    found = errors_from_lattice(recipe, library)
    # As many like neighbours are missing as unlike ones are too many.
    assert found["cn_pd_pd"] == pytest.approx(found["cn_pd_au"], abs=0.05)
    assert found["cn_pd_pd"] > 0.5
