"""The model of an alloy: one folder, trained, evaluated and shown by its edges."""

import hashlib
import json

import pytest
import yaml

from xasnn_stream.cli.main import main
from xasnn_stream.engine.model import load_model
from xasnn_stream.manifest import read_parts
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.training import baselines, calibrate, novelty, samples
from xasnn_stream.training.recipe import read_recipe

MODELS = shipped_folder("models")
RECIPE = MODELS / "pdau-xanes" / "recipe.yaml"
NAMES = {"Pd_K": ("cn_pd_pd", "cn_pd_au"), "Au_L3": ("cn_au_au", "cn_au_pd")}
SMALL = {
    "pool": 2000, "members": 2, "folds": 2, "hidden": 16, "depth": 2, "steps": 20,
    "batch": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder that `train` wrote for a small recipe, of few draws."""
    data = yaml.safe_load(RECIPE.read_text())
    data["calibration"]["draws"] = 2
    data["fit"] |= SMALL
    for part, keys in data["parts"].items():
        keys["library"] = str(MODELS / "libraries" / f"{part}_in_PdAu.npz")
    folder = tmp_path_factory.mktemp("models") / "tiny"
    path = folder.parent / "small.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "DRAWS", 2)
        patch.setattr(samples, "IN_POOL", 20)
        patch.setattr(baselines, "_FOREST_DRAWS", 100)
        patch.setattr(calibrate, "_MIXTURES", 50)
        patch.setattr(novelty, "_DRAWS", 200)
        assert main(["train", str(path), "--output", str(folder)]) == 0
        yield folder


@pytest.fixture(scope="module")
def manifest(trained):
    return json.loads((trained / "manifest.json").read_bytes())


def test_every_file_is_as_the_manifest_says(trained, manifest):
    assert set(manifest["files"]) == {
        *("ensemble.safetensors", "recipe.yaml", "card.md", "parity.png")
    }
    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((trained / name).read_bytes()).hexdigest() == sha256


def test_each_edge_loads_as_a_model_of_its_own_neighbours(trained):
    for part in read_parts(trained):
        model = load_model(trained, part=part.part)
        assert model.descriptors == NAMES[part.part]
        assert all(bounds == (0.0, 13.0) for bounds in model.domain.values())
        assert model.manifest["bounded"] == list(model.descriptors)
        assert model.parameters["head.weight"].shape[-1] == 4


def test_what_is_held_out_is_the_same_at_both_edges_and_never_trained_on(manifest):
    pd, au = manifest["parts"]
    assert pd["held_out"] == au["held_out"]
    for part in (pd, au):
        assert not set(part["held_out"]) & set(part["training_particles"])
        assert any("/" in name for name in part["held_out"])
        assert any("/" not in name for name in part["held_out"])


def test_the_recipe_finds_its_libraries_from_the_folder(trained):
    for part in NAMES:
        found = read_recipe(trained / "recipe.yaml", part).library
        assert found == (MODELS / "libraries" / f"{part}_in_PdAu.npz").resolve()


def test_evaluate_prints_the_metrics_of_the_manifest(trained, manifest, capsys):
    assert main(["evaluate", str(trained), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    pd, au = (part["metrics"] for part in manifest["parts"])
    assert rows == [*pd, *au]
    assert {row["split"] for row in pd} == {
        *("held-out", "held-out, pure metal", "foil", "in-pool")
    }
    assert main(["evaluate", f"{trained}#Au_L3", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(au)


def test_both_edges_together_are_scored_on_the_same_alloys(manifest):
    joint = manifest["joint"]
    assert joint["n_particles"] == sum("/" in n for n in manifest["held_out"])
    for of in ("alone", "together"):
        assert list(joint[of]["mae"]) == [*NAMES["Pd_K"], *NAMES["Au_L3"]]
        assert all(0 <= share <= 1 for share in joint[of]["coverage"].values())


def test_the_card_says_what_is_missing(trained):
    card = (trained / "card.md").read_text()
    for words in ("## Pd K", "## Au L3", "## Both edges together", "## Limits"):
        assert words in card
    assert "No measured alloy" in card
    assert "random Pd50Au50" in card


def test_the_card_is_shown(trained, capsys):
    assert main(["models", "show", str(trained)]) == 0
    page = capsys.readouterr().out
    assert "pdau-xanes  Pd K, Au L3" in page
    assert "Held-out particles, Au L3" in page
