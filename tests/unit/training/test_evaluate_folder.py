import shutil

import pytest

from xasnn_stream.errors import LibraryError
from xasnn_stream.training import baselines, samples, split_coverage
from xasnn_stream.training.evaluation import evaluate_folder


@pytest.fixture
def folder(recipe):
    return recipe.library.parents[1] / "pt-l3-xanes"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few draws of everything: what rows there are does not depend on how many."""
    for module, sizes in {
        samples: {"DRAWS": 6, "MIXTURES": 30, "IN_POOL": 60},
        baselines: {"_FOREST_DRAWS": 200, "_TREES": 5},
        split_coverage: {"REPEATS": 5},
    }.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)


def test_the_own_library_is_held_out_alone_with_bulk_and_in_pool(model, folder):
    *rows, sets = evaluate_folder(model, folder, None)
    of = {(row["split"], row["condition"]) for row in rows if row["shapes"] == "all"}
    assert of == {
        *(
            ("held-out", condition)
            for condition in ("clean", "N1", "noise", "N1x2", "N1+noise", "N1-range")
        ),
        ("held-out, with bulk", "N1"),
        ("held-out, with bulk", "N1+noise"),
        ("in-pool", "N1"),
        ("in-pool", "recipe"),
    }
    (pool, *_) = [row for row in rows if row["split"] == "in-pool"]
    assert pool["n_particles"] == len(model.manifest["training_particles"])
    assert [(one["split"], one["condition"]) for one in sets["sets"]] == [
        ("held-out", "N1"),
        ("held-out", "N1x2"),
        ("held-out, with bulk", "N1"),
        ("in-pool", "N1"),
    ]
    by_noise = [row for row in rows if "noise" in row.get("coverage_by", {})]
    assert {row["condition"] for row in by_noise} == {"N1-range", "recipe"}


def test_another_library_is_split_by_what_the_model_saw(model, folder, recipe):
    *rows, recalibrated, sets = evaluate_folder(model, folder, recipe.library)
    assert {row["split"] for row in rows} == {"held-out", "training", "mixtures"}
    assert {row["library"] for row in rows} == {"Pt_L3"}
    assert recalibrated["split"] == "recalibrated"
    assert recalibrated["coverage"].keys() == {"0.68", "0.9", "0.95"}
    compared = [(one.get("library"), one["split"]) for one in sets["sets"]]
    assert ("Pt_L3", "held-out") in compared
    assert (None, "held-out") in compared, "the published ones of the model"


def test_a_folder_of_libraries_is_searched_for_the_models_edge(model, folder, recipe):
    row = next(evaluate_folder(model, folder, recipe.library.parent))
    assert row["library"] == recipe.library.stem


def test_a_model_far_from_its_library_is_evaluated_on_another_one(
    model, folder, recipe, tmp_path
):
    alone = shutil.copytree(folder, tmp_path / "alone")
    row = next(evaluate_folder(model, alone, recipe.library))
    assert set(row["baseline"]) == {"mean", "ridge"}
    with pytest.raises(LibraryError, match=r"Pt_L3\.npz"):
        next(evaluate_folder(model, alone, None))
