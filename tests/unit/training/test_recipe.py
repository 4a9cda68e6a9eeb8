from dataclasses import asdict

import pytest
import yaml

from xasnn_stream.cli import main as command
from xasnn_stream.errors import UsageError
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.training.recipe import read_recipe, recipe_parts

SHIPPED = shipped_folder("models") / "pt-l3-xanes" / "recipe.yaml"


@pytest.fixture
def changed(tmp_path):
    """A function that writes the shipped recipe with some changes."""

    def write(change):
        data = yaml.safe_load(SHIPPED.read_text())
        change(data)
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    return write


def test_the_shipped_recipe_is_read_as_written():
    recipe = read_recipe(SHIPPED)
    assert recipe.name == "pt-l3-xanes"
    assert recipe.library == SHIPPED.parents[1] / "libraries" / "Pt_L3.npz"
    assert recipe.library.is_file()
    written = yaml.safe_load(SHIPPED.read_text())
    assert asdict(recipe.input) == written["input"]
    assert recipe.input.start < 0 < recipe.input.stop
    assert recipe.nuisances.edge_step == (-0.012, 0.012)
    assert recipe.duplicates == {"sphO_38": "to38"}
    assert recipe.calibration.levels == (0.68, 0.9, 0.95)


def spoil(data):
    data["schema"] = "xasnn.recipe/9"
    data["seeed"] = data.pop("seed")
    data["fit"]["members"] = "six"
    data["fit"]["pace"] = 3
    del data["fit"]["steps"]
    data["nuisances"]["shift"] = [0.0]
    data["novelty"] = 3
    data["duplicates"] = 5


def test_all_mistakes_are_listed_at_once(changed):
    with pytest.raises(UsageError) as caught:
        read_recipe(changed(spoil))
    message = str(caught.value)
    for part in (
        "schema: expected xasnn.recipe/1",
        "seeed: unknown key",
        "seed: missing",
        "fit.members: ",
        "fit.pace: unknown key",
        "fit.steps: missing",
        "nuisances.shift: ",
        "novelty: expected a mapping",
        "duplicates: ",
    ):
        assert part in message, part


def test_a_recipe_with_mistakes_is_wrong_usage(changed, tmp_path, capsys):
    code = command.main(["train", str(changed(spoil)), "--output", str(tmp_path / "m")])
    assert code == 2
    assert "fit.members" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "text", ["- a list", "", "{", "just text"], ids=["list", "empty", "broken", "text"]
)
def test_what_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"recipe\.yaml"):
        read_recipe(path)


def test_a_recipe_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not a readable recipe"):
        read_recipe(tmp_path / "none.yaml")


def test_each_part_of_a_recipe_has_its_keys_and_the_common_ones(changed):
    def split(data):
        data["parts"] = {
            "Pt_L3": {"library": data.pop("library")},
            "Au_L3": {"library": "Au_L3.npz", "descriptors": ["cn1"]},
        }

    path = changed(split)
    assert set(recipe_parts(path)) == {"Pt_L3", "Au_L3"}
    pt, au = (read_recipe(path, part) for part in ("Pt_L3", "Au_L3"))
    assert (pt.library.name, au.library.name) == ("Pt_L3.npz", "Au_L3.npz")
    assert (len(pt.descriptors), au.descriptors) == (5, ("cn1",))
    assert pt.fit == au.fit
    for part in ("", "Pd_K"):
        with pytest.raises(UsageError, match=r"no part .*; its parts: "):
            read_recipe(path, part)


def test_a_recipe_of_one_edge_has_no_parts():
    assert recipe_parts(SHIPPED) == ()
    assert read_recipe(SHIPPED, "Pt_L3") == read_recipe(SHIPPED)
