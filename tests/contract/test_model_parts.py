"""One model folder may read several edges: an ordinary model per edge."""

import hashlib
import json

import pytest
import torch

from xasnn_stream.cli.main import main
from xasnn_stream.engine.model import load_model
from xasnn_stream.errors import ModelError, ProfileError
from xasnn_stream.manifest import read_manifest, read_part, read_parts
from xasnn_stream.profile import load_profile
from xasnn_stream.profile.prepare import load_engines
from xasnn_stream.shipped import model_part, shipped_folder

SHIPPED = shipped_folder("models") / "pt-l3-xanes"


def test_each_part_is_an_ordinary_model_of_its_edge(alloy_model):
    whole = load_model(SHIPPED)
    pt, au = (load_model(alloy_model, part=part) for part in ("Pt_L3", "Au_L3"))
    assert [(m.name, m.element, m.edge) for m in (pt, au)] == [
        ("ptau", "Pt", "L3"),
        ("ptau", "Au", "L3"),
    ]
    assert pt.descriptors[:2] == ("cn_pt_pt", "cn_pt_au")
    assert au.descriptors[:2] == ("cn_au_au", "cn_au_pt")
    digest = hashlib.sha256((alloy_model / "manifest.json").read_bytes()).hexdigest()
    assert pt.sha256 == au.sha256 == digest
    assert pt.tensors.keys() == au.tensors.keys() == whole.tensors.keys()
    for name, tensor in whole.parameters.items():
        assert torch.equal(pt.parameters[name], tensor)


def test_a_reader_of_one_edge_sees_the_first(alloy_model):
    assert read_manifest(alloy_model).element == "Pt"
    assert [found.part for found in read_parts(alloy_model)] == ["Pt_L3", "Au_L3"]
    assert read_part(alloy_model, "Au_L3").document["element"] == "Au"


def test_the_edge_must_be_named_where_there_are_several(alloy_model):
    message = r"ptau reads more than one edge: name ptau#Pt_L3 or ptau#Au_L3$"
    with pytest.raises(ModelError, match=message):
        load_model(alloy_model)
    with pytest.raises(ModelError, match=r"ptau has no part Pd_K; name ptau#Pt_L3 or"):
        load_model(alloy_model, part="Pd_K")


def test_a_model_of_one_edge_has_no_parts_but_may_be_named_so():
    assert [found.part for found in read_parts(SHIPPED)] == [""]
    assert read_part(SHIPPED, "Pt_L3").element == "Pt"
    with pytest.raises(ModelError, match="has no part Au_L3"):
        read_part(SHIPPED, "Au_L3")


def test_two_parts_of_one_edge_are_refused(alloy_model, tmp_path):
    manifest = json.loads((alloy_model / "manifest.json").read_text())
    manifest["parts"] = manifest["parts"][:1] * 2
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="an edge has two parts"):
        read_parts(tmp_path)


def test_a_profile_names_the_edge_behind_the_model():
    named = load_profile("sim-step", {"model": "pt-l3-xanes#Pt_L3"})
    assert model_part(named.model) == (SHIPPED, "Pt_L3")
    with pytest.raises(ProfileError, match="model: pt-l3-xanes has no part Pd_K"):
        load_profile("sim-step", {"model": "pt-l3-xanes#Pd_K"})


def test_an_engine_of_an_alloy_reads_the_edge_its_profile_names():
    profile = load_profile("sim-step", {"model": "pdau-xanes#Au_L3"})
    (engine,) = load_engines([profile], None).values()
    assert engine.descriptors == ("cn_au_au", "cn_au_pd")
    with pytest.raises(
        ProfileError, match="model: pdau-xanes reads more than one edge"
    ):
        load_profile("sim-step", {"model": "pdau-xanes"})


def test_every_part_is_shown(alloy_model, capsys):
    assert main(["models", "show", str(alloy_model)]) == 0
    page = capsys.readouterr().out
    assert page.startswith("ptau  Pt L3, Au L3\n")
    assert "Domain, Pt L3 (" in page
    assert "Domain, Au L3 (" in page
    for name in ("cn_pt_pt", "cn_pt_au", "cn_au_au", "cn_au_pt"):
        assert f"  {name} 0 to " in page
