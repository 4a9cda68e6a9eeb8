"""One model folder may read several edges: an ordinary model per edge."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from xasnn_stream.cli.main import main
from xasnn_stream.engine.model import load_model
from xasnn_stream.errors import ModelError, ProfileError
from xasnn_stream.manifest import read_manifest, read_part, read_parts
from xasnn_stream.profile import load_profile
from xasnn_stream.shipped import model_part, shipped_folder

SHIPPED = shipped_folder("models") / "pt-l3-xanes"
OF_A_PART = ("element", "edge", "descriptors", "units", "domain", "calibration")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of Pt L3 and, with the same weights, of Au L3."""
    folder = tmp_path_factory.mktemp("models") / "duo"
    folder.mkdir()
    tensors = load_file(SHIPPED / "ensemble.safetensors")
    both = {
        f"{part}.{name}": tensor.clone()
        for part in ("Pt_L3", "Au_L3")
        for name, tensor in tensors.items()
    }
    both["Au_L3.ridge"] = torch.zeros_like(both["Au_L3.ridge"])
    save_file(both, folder / "ensemble.safetensors")
    manifest = json.loads((SHIPPED / "manifest.json").read_text())
    first = {key: manifest[key] for key in OF_A_PART}
    weights = (folder / "ensemble.safetensors").read_bytes()
    manifest |= {
        "name": "duo",
        "parts": [first, first | {"element": "Au"}],
        "files": {"ensemble.safetensors": hashlib.sha256(weights).hexdigest()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_each_part_is_an_ordinary_model_of_its_edge(folder):
    whole = load_model(SHIPPED)
    pt, au = (load_model(folder, part=part) for part in ("Pt_L3", "Au_L3"))
    assert [(m.name, m.element, m.edge) for m in (pt, au)] == [
        ("duo", "Pt", "L3"),
        ("duo", "Au", "L3"),
    ]
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert pt.sha256 == au.sha256 == digest
    assert pt.tensors.keys() == whole.tensors.keys()
    for name, tensor in whole.parameters.items():
        assert torch.equal(pt.parameters[name], tensor)
    assert au.tensors["ridge"].abs().max() == 0 < pt.tensors["ridge"].abs().max()


def test_a_reader_of_one_edge_sees_the_first(folder):
    assert read_manifest(folder).element == "Pt"
    assert [found.part for found in read_parts(folder)] == ["Pt_L3", "Au_L3"]
    assert read_part(folder, "Au_L3").document["element"] == "Au"


def test_the_edge_must_be_named_where_there_are_several(folder):
    message = r"duo reads more than one edge: name duo#Pt_L3 or duo#Au_L3$"
    with pytest.raises(ModelError, match=message):
        load_model(folder)
    with pytest.raises(ModelError, match=r"duo has no part Pd_K; name duo#Pt_L3 or"):
        load_model(folder, part="Pd_K")


def test_a_model_of_one_edge_has_no_parts_but_may_be_named_so():
    assert [found.part for found in read_parts(SHIPPED)] == [""]
    assert read_part(SHIPPED, "Pt_L3").element == "Pt"
    with pytest.raises(ModelError, match="has no part Au_L3"):
        read_part(SHIPPED, "Au_L3")


def test_two_parts_of_one_edge_are_refused(folder, tmp_path):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["parts"] = manifest["parts"][:1] * 2
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="an edge has two parts"):
        read_parts(tmp_path)


def test_a_profile_names_the_edge_behind_the_model():
    named = load_profile("sim-step", {"model": "pt-l3-xanes#Pt_L3"})
    assert model_part(named.model) == (SHIPPED, "Pt_L3")
    with pytest.raises(ProfileError, match="model: pt-l3-xanes has no part Pd_K"):
        load_profile("sim-step", {"model": "pt-l3-xanes#Pd_K"})


def test_every_part_is_listed_and_shown(folder, capsys):
    assert main(["models", "show", str(folder)]) == 2
    assert "card.md" in capsys.readouterr().err
    (folder / "card.md").write_text("# duo\n\nTwo edges.\n")
    try:
        assert main(["models", "show", str(folder)]) == 0
    finally:
        (folder / "card.md").unlink()
    page = capsys.readouterr().out
    assert page.startswith("duo  Pt L3, Au L3\n")
    assert page.count("  cn1    0 to 13") == 2
