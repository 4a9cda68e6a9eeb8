"""Both edges of an alloy: which scan is which, which foil is whose, and the joint line."""

import json

import numpy as np
import pytest

from xasnn_stream.analysis.analyze import Result
from xasnn_stream.analysis.shipped_models import model_for, shipped_models
from xasnn_stream.cli.main import main
from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.errors import UsageError
from xasnn_stream.files.read import read_scans

APART_EV = edge_energy_ev("Au", "L3") - edge_energy_ev("Pt", "L3")
NAMES = ["cn_pt_pt", "cn_pt_au", "cn_au_au", "cn_au_pt"]


@pytest.fixture
def scans(examples):
    """Sample and foil of the example at their edge, and moved to that of Au."""
    found = {}
    for kind in ("particles.xdi", "foil.dat"):
        (scan,) = read_scans(examples / kind)
        mu = scan.channels.get("mu")
        if mu is None:
            mu = np.log(scan.channels["i0"] / scan.channels["it"])
        for element, shift in (("pt", 0.0), ("au", APART_EV)):
            file = examples / f"{element}-{kind.split('.')[0]}.csv"
            table = np.column_stack([scan.energy_ev + shift, mu])
            np.savetxt(file, table, delimiter=",", header="energy,mu", comments="")
            found[file.stem] = file
    return found


def test_each_scan_is_read_at_its_own_edge_with_its_own_foil(run, scans, alloy_model):
    pt, au = run(
        scans["pt-particles"],
        scans["au-particles"],
        model=str(alloy_model),
        foils=[scans["au-foil"], scans["pt-foil"]],
    )
    assert isinstance(pt, Result)
    assert [r.estimate.element for r in (pt, au)] == ["Pt", "Au"]
    assert [r.estimate.provenance.reference for r in (pt, au)] == [
        "pt-foil.csv",
        "au-foil.csv",
    ]
    ours, theirs = (next(iter(r.estimate.descriptors.items())) for r in (pt, au))
    assert (ours[0], theirs[0]) == ("cn_pt_pt", "cn_au_au")
    # The same spectrum and weights, moved by the distance of the edges.
    assert theirs[1].value == pytest.approx(ours[1].value, abs=0.02)


def test_a_foil_of_the_other_edge_serves_no_one(run, scans, alloy_model):
    (au,) = run(scans["au-particles"], model=str(alloy_model), foils=[scans["pt-foil"]])
    assert au.estimate.provenance.reference is None


def test_two_foils_of_one_edge_are_refused(run, scans):
    foils = [scans["pt-foil"], scans["pt-particles"]]
    (failure,) = run(scans["pt-particles"], foils=foils)
    assert "are foils of Pt L3; name one per edge" in failure.text


def test_an_edge_may_be_named_with_the_model(run, scans, alloy_model):
    (result,) = run(
        scans["pt-particles"], model=f"{alloy_model}#Au_L3", foils=[scans["au-foil"]]
    )
    assert result.model.part == "Au_L3"
    assert result.estimate.verdict == "rejected"


def analyze(scans, alloy_model, *arguments, files=("pt-particles", "au-particles")):
    return main(
        [
            *("analyze", *(str(scans[file]) for file in files)),
            *("--model", str(alloy_model)),
            *("--foil", str(scans["pt-foil"]), "--foil", str(scans["au-foil"])),
            *arguments,
        ]
    )


def test_both_edges_end_in_a_joint_line(scans, alloy_model, capsys):
    given = ("--json", "--composition", "Pt0.5Au0.5")
    assert analyze(scans, alloy_model, *given) == 0
    out, err = capsys.readouterr()
    *estimates, joint = map(json.loads, out.splitlines())
    assert err == ""
    assert [each["schema"] for each in estimates] == ["xasnn.estimate/1"] * 2
    assert joint["schema"] == "xasnn.bimetallic/1"
    assert joint["estimates"] == [each["id"] for each in estimates]
    assert list(joint["descriptors"]) == NAMES
    unlike = [joint["descriptors"][name]["value"] for name in (NAMES[1], NAMES[3])]
    assert unlike[0] == pytest.approx(unlike[1])


def test_the_joint_line_speaks_to_people(scans, alloy_model, capsys):
    assert analyze(scans, alloy_model, "--composition", "Pt30Au70") == 0
    out = capsys.readouterr().out
    assert "Pt L3 and Au L3 together, " in out
    assert "for a composition Pt0.30Au0.70: chi2 " in out
    assert "by themselves the edges imply Pt0.50Au0.50 ± 0." in out


def test_one_edge_alone_is_an_estimate_as_ever(scans, alloy_model, capsys):
    assert analyze(scans, alloy_model, "--json", files=("pt-particles",)) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_scans_that_do_not_pair_are_told(scans, alloy_model, capsys):
    files = ("pt-particles", "pt-particles", "au-particles")
    assert analyze(scans, alloy_model, "--json", files=files) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "there are 2 of Pt L3, 1 of Au L3" in err


@pytest.mark.parametrize(
    ("composition", "message"),
    [("Pd0.5Au0.5", "as Pt0.4Au0.6"), ("half", "as Pt0.4Au0.6")],
)
def test_a_composition_of_something_else_is_refused(
    scans, alloy_model, capsys, composition, message
):
    assert analyze(scans, alloy_model, "--composition", composition) == 2
    out, err = capsys.readouterr()
    assert (out, message in err) == ("", True)


def test_a_composition_needs_a_model_of_both_edges(examples, capsys):
    file = str(examples / "particles.xdi")
    assert main(["analyze", file, "--composition", "Pt0.5Au0.5"]) == 2
    assert "for a --model that reads both edges" in capsys.readouterr().err


def test_an_alloy_is_never_guessed():
    assert all(not model.document.get("parts") for model in shipped_models())
    with pytest.raises(UsageError, match="no model for Fe K"):
        model_for("Fe", "K")
