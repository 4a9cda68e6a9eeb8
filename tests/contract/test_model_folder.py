"""A model folder explains itself: trained, verified, evaluated, or refused."""

import hashlib
import json
import shutil

import pytest
import yaml
from safetensors.torch import load_file, save_file

from xasnn_stream.cli import main as command
from xasnn_stream.engine.model import load_model
from xasnn_stream.errors import ModelError
from xasnn_stream.library import read_library, shape_class
from xasnn_stream.shipped import model_folder, shipped_folder
from xasnn_stream.training import baselines, evaluation, novelty, samples
from xasnn_stream.training.build import train
from xasnn_stream.training.recipe import read_recipe

SHIPPED = shipped_folder("models") / "pt-l3-xanes"
HELD_OUT = ["to38", "ico55", "hcp_19"]
SMALL = {
    "pool": 2000, "members": 2, "hidden": 16, "depth": 2, "steps": 20, "batch": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def few_draws():
    """Evaluate and calibrate on few spectra: these tests are about form."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DRAWS", "MIXTURES", "IN_POOL"):
            patch.setattr(samples, name, 5)
        patch.setattr(baselines, "_FOREST_DRAWS", 100)
        patch.setattr(baselines, "_TREES", 3)
        patch.setattr(novelty, "_DRAWS", 200)
        yield


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory):
    data = yaml.safe_load((SHIPPED / "recipe.yaml").read_text())
    data |= {
        "name": "tiny",
        "library": str(shipped_folder("models") / "libraries" / "Pt_L3.npz"),
        "held_out": HELD_OUT,
        "calibration": {"draws": 2, "levels": [0.68, 0.9, 0.95]},
    }
    data["fit"] |= SMALL
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture(scope="module")
def trained(few_draws, recipe_path, tmp_path_factory):
    """The folder that `train` wrote for a small recipe."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    assert command.main(["train", str(recipe_path), "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "tiny")


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())


def test_a_trained_folder_is_complete_and_verifies(trained):
    manifest = manifest_of(trained)
    assert manifest["schema"] == "xasnn.model/1"
    assert set(manifest["files"]) >= {"ensemble.safetensors", "recipe.yaml", "card.md"}
    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((trained / name).read_bytes()).hexdigest() == sha256
    assert {path.name for path in trained.iterdir()} == {
        *manifest["files"],
        "manifest.json",
    }
    model = load_model(trained)
    digest = hashlib.sha256((trained / "manifest.json").read_bytes()).hexdigest()
    assert (model.name, model.sha256) == ("tiny", digest)
    assert (model.element, model.edge) == ("Pt", "L3")
    assert model.descriptors == ("cn1", "cn2", "cn3", "cn4", "r1")
    start, stop, step = manifest["input"]["grid_ev"]
    bins = round((stop - start) / step) + 1
    assert model.parameters["skip.weight"].shape == (2, bins + 1, 5)
    assert model.grid.tolist() == pytest.approx([start + step * k for k in range(bins)])


def test_a_manifest_says_what_a_stranger_must_know(trained):
    manifest = manifest_of(trained)
    library = read_library(shipped_folder("models") / "libraries" / "Pt_L3.npz")
    assert manifest["library"]["sha256"] == library.sha256
    assert (
        manifest["seed"]
        == yaml.safe_load((trained / "recipe.yaml").read_text())["seed"]
    )
    assert manifest["held_out"] == HELD_OUT
    assert not set(HELD_OUT) & set(manifest["training_particles"])
    assert manifest["units"]["r1"] == "angstrom"
    low, high = manifest["domain"]["cn1"]
    assert (low, high) == (0.0, 13.0)
    quantiles = manifest["calibration"]["quantiles"]
    for name in manifest["descriptors"]:
        levels = [quantiles[level][name] for level in ("0.68", "0.9", "0.95")]
        assert 0 < levels[0] <= levels[1] <= levels[2]
    card = (trained / "card.md").read_text()
    for part in (*HELD_OUT, "## Limits", "## Intervals", "parity.png"):
        assert part in card


def test_evaluate_prints_every_row_of_the_contract(trained, capsys):
    assert command.main(["evaluate", str(trained), "--json"]) == 0
    *rows, sets = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == manifest_of(trained)["metrics"]
    held_out = [row for row in rows if row["split"] == "held-out"]
    assert [(row["condition"], row["shapes"]) for row in held_out] == [
        (condition, shapes)
        for condition in ("clean", "N1", "noise", "N1x2", "N1+noise", "N1-range")
        for shapes in ("fcc", "icosahedral", "hcp", "all")
    ]
    assert [row["split"] for row in rows[24:]] == [
        *["held-out, with bulk"] * 8,
        *["in-pool"] * 2,
    ]
    assert sets["split"] == "test sets"
    names = {"cn1", "cn2", "cn3", "cn4", "r1"}
    for row in rows:
        assert row["model"] == "tiny"
        for key in ("mae", "rmse", "r2", "width90", "winkler90"):
            assert row[key].keys() == names, key
        assert row["coverage"].keys() == {"0.68", "0.9", "0.95"}
        for level in row["coverage"].values():
            assert all(0 <= share <= 1 for share in level.values())
        for name in ("mean", "ridge", "forest", "sites", "from_cn1"):
            assert row["baseline"][name]["mae"].keys() == names
        assert all(0 <= value <= 1 for value in row["novelty_auroc"].values())
        # A root mean square is never below the mean.
        assert all(row["rmse"][name] >= row["mae"][name] - 1e-5 for name in names)
    whole = rows[3]
    assert whole["n_particles"] == 3
    assert whole["n"] == sum(row["n"] for row in rows[:3])


def test_evaluate_reads_another_library_and_speaks_to_people(trained, capsys):
    library = shipped_folder("models") / "libraries" / "Pt_L3.npz"
    assert (
        command.main(["evaluate", str(trained), "--library", str(library), "--json"])
        == 0
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    held = read_library(library)
    complete = {name for scale in held.scales for name in held.complete(scale)}
    particles = {
        row["split"]: row["n_particles"]
        for row in rows
        if (row["condition"], row["shapes"]) == ("N1", "all")
    }
    assert particles.pop("mixtures") == 0
    assert sum(particles.values()) == len(complete - {"bulk"})
    assert particles["held-out"] >= len(HELD_OUT)
    (recalibrated,) = (row for row in rows if row["split"] == "recalibrated")
    assert recalibrated["n_particles"] == len(complete - {"bulk", "sphO_38"})
    assert particles["training"] == len(manifest_of(trained)["training_particles"])
    assert command.main(["evaluate", str(trained)]) == 0
    assert "ridge" in capsys.readouterr().out


def test_training_again_gives_the_same_weights(
    few_draws, trained, recipe_path, tmp_path
):
    again = train(recipe_path, tmp_path / "again", lambda stage, share: None)
    name = "ensemble.safetensors"
    assert (again / name).read_bytes() == (trained / name).read_bytes()


def flip(folder):
    path = folder / "ensemble.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def edit(**changes):
    """Change the manifest; None removes a key."""

    def apply(folder):
        manifest = manifest_of(folder) | changes
        manifest = {key: value for key, value in manifest.items() if value is not None}
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return apply


def forget_a_descriptor(folder):
    manifest = manifest_of(folder)
    del manifest["calibration"]["quantiles"]["0.9"]["cn2"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def forget_a_limit(folder):
    """Write what an older version trained, which had no such tensor."""
    tensors = load_file(folder / "ensemble.safetensors")
    del tensors["novelty.limits"]
    save_file(tensors, folder / "ensemble.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    weights = (folder / "ensemble.safetensors").read_bytes()
    manifest["files"]["ensemble.safetensors"] = hashlib.sha256(weights).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip, r"ensemble\.safetensors does not match the manifest"),
        (lambda f: (f / "recipe.yaml").write_text("x"), r"recipe\.yaml does not match"),
        (lambda f: (f / "card.md").unlink(), "is not a model folder: it lacks card.md;"),
        (lambda f: (f / "ensemble.safetensors").unlink(), r"lacks ensemble\.safetensors;"),
        (lambda f: (f / "manifest.json").write_text("{"), "is not a model folder"),
        (lambda f: (f / "manifest.json").write_text("[]"), "is not a model folder"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff"), "is not a model folder"),
        (lambda f: (f / "manifest.json").unlink(), "no model"),
        (edit(schema="xasnn.model/2"), "schema"),
        (edit(name=None), "is not a model folder"),
        (edit(files=None), "is not a model folder"),
        (edit(files={}), "is not a model folder"),
        (edit(calibration=None), "is not a model folder"),
        (forget_a_descriptor, "is not a model folder"),
        (forget_a_limit, r"is not a model folder.*novelty\.limits"),
        (lambda f: (f / "manifest.json").write_text("[" * 10**5), "not a model folder"),
    ],
    ids=[
        "flipped bit", "edited recipe", "no card", "no weights", "broken", "list", "binary",
        "no manifest", "schema", "no name", "no files", "no hashes", "no calibration",
        "no quantile", "older", "deep",
    ],
)  # fmt: skip
def test_a_folder_that_is_not_as_written_is_refused(copied, spoil, message, capsys):
    load_model(copied)
    spoil(copied)
    with pytest.raises(ModelError, match=message):
        load_model(model_folder(str(copied)))
    assert command.main(["evaluate", str(copied)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("xasnn-stream: ")
    assert len(err.splitlines()) == 1


def test_an_unknown_model_is_an_error_that_lists_the_shipped():
    with pytest.raises(ModelError, match="pt-l3-xanes"):
        model_folder("pt-l4")


def held_to_the_bars(row):
    """Assert what is promised of the shipped model on held-out fcc particles."""
    ridge = row["baseline"]["ridge"]
    assert row["mae"]["cn1"] <= 0.35
    assert row["mae"]["cn2"] <= 0.35
    assert row["mae_over_bulk"] <= 0.9 * ridge["mae_over_bulk"]
    assert row["winkler90"]["cn1"] < ridge["winkler90"]["cn1"]
    assert row["width90"]["cn1"] <= 2.0


def test_the_shipped_model_claims_what_it_keeps(monkeypatch):
    model = load_model(SHIPPED)
    assert model.manifest["held_out"] == list(
        read_recipe(SHIPPED / "recipe.yaml").held_out
    )
    (claimed,) = (
        row
        for row in model.manifest["metrics"]
        if (row["split"], row["condition"], row["shapes"]) == ("held-out", "N1", "fcc")
    )
    held_to_the_bars(claimed)
    # Again from the shipped weights, on less than half of the draws.
    monkeypatch.setattr(samples, "DRAWS", 25)
    recipe = read_recipe(SHIPPED / "recipe.yaml")
    names = [name for name in recipe.held_out if shape_class(name) == "fcc"]
    library = read_library(recipe.library)
    subjects = samples.whole_particles(library, names, "held-out")
    assert library.sha256 == model.manifest["library"]["sha256"]
    found, _ = evaluation.evaluate(model, recipe, library, subjects, None, ("N1",))
    assert found["shapes"] == "fcc"
    held_to_the_bars(found)
    # 500 draws of errors of 0.2 to 0.3: means good to 0.015, doubled.
    assert found["mae"]["cn1"] == pytest.approx(claimed["mae"]["cn1"], abs=0.03)
    assert found["mae"]["cn2"] == pytest.approx(claimed["mae"]["cn2"], abs=0.03)
