import pytest
import yaml

from xasnn_stream.training.recipe import copy_recipe


@pytest.mark.parametrize(
    "written",
    [
        "library: ../sites/Pt_L3.npz",
        "library:  '../sites/Pt_L3.npz'  # of today",
        'seed: 1  # its library: none\nlibrary: "../sites/Pt_L3.npz"\nname: x',
        "parts: {Pt_L3: {library: ../sites/Pt_L3.npz, seed: 1}}",
    ],
)
def test_a_copied_recipe_names_the_same_library_and_nothing_else_changes(
    tmp_path, written
):
    source = tmp_path / "made" / "recipe.yaml"
    target = tmp_path / "far" / "away" / "recipe.yaml"
    for path in (source, target):
        path.parent.mkdir(parents=True)
    source.write_text(written + "\n")
    copy_recipe(source, target)
    copied = target.read_text()
    found, before = yaml.safe_load(copied), yaml.safe_load(written)
    keys, of = found.get("parts", {}).get("Pt_L3", found), before.get("parts", before)
    assert keys.pop("library") == "../../sites/Pt_L3.npz"
    of = of.get("Pt_L3", of)
    del of["library"]
    assert keys == of
    assert copied.count("#") == written.count("#")


def test_a_recipe_in_its_place_stays_as_it_was_written(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("library: Pt_L3.npz\n")
    copy_recipe(path, tmp_path / "." / "recipe.yaml")
    assert path.read_text() == "library: Pt_L3.npz\n"
