"""`xasnn-stream analyze`: what it prints where, and how it ends."""

import json
import shutil
from pathlib import Path

import pytest

from xasnn_stream.cli.main import main

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


@pytest.fixture
def analyze(tmp_path, monkeypatch, capsys):
    """A function: run the command among the example files; code, output, errors."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "examples")

    def analyze(*arguments: str):
        code = main(["analyze", *arguments])
        written = capsys.readouterr()
        return code, written.out.splitlines(), written.err.splitlines()

    return analyze


def test_json_is_estimates_and_nothing_else(analyze):
    files = ("iron.xdi", "particles.xdi", "no-names.txt")
    code, out, err = analyze(*files, "--foil", "foil.dat", "--json")
    assert code == 2
    (estimate,) = map(json.loads, out)
    assert estimate["schema"] == "xasnn.estimate/1"
    assert estimate["run"]["source"] == "particles.xdi"
    assert estimate["descriptors"]["cn1"]["level"] == 0.9
    assert [line.split(":")[0] for line in err] == ["xasnn-stream"] * 2
    assert "no model for Fe K; shipped: Au L3 (au-l3-xanes), " in err[0]


def test_a_table_has_one_head_and_sentences_beneath(analyze):
    code, out, err = analyze("particles.xdi", "particles.xdi", "--foil", "foil.dat")
    assert (code, err) == (0, [])
    assert [line.split()[0] for line in out if line[0] != " "] == [
        "file",
        "particles.xdi",
        "particles.xdi",
    ]
    assert out[0].split()[:4] == ["file", "scan", "verdict", "cn1"]
    assert out[2].strip() == "Pt L3, model pt-l3-xanes, foil: foil.dat"
    assert out[3].strip().startswith("if all particles are alike: ")


def test_one_good_file_ends_well_and_a_missing_one_does_not(analyze):
    assert analyze("particles.xdi")[0] == 0
    code, out, err = analyze("nowhere.dat")
    assert (code, out) == (2, [])
    assert err == [
        "xasnn-stream: nowhere.dat cannot be read: No such file or directory"
    ]


def test_figures_are_numbered(analyze):
    code, _, _ = analyze("particles.xdi", "particles.xdi", "--plot", "out.png")
    assert code == 0
    written = sorted(path.name for path in Path().glob("out*"))
    assert written == ["out-2.png", "out.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "out.txt"], "must end in .png"),
        (["--foil", "iron.xdi"], "name a foil of Pt L3"),
        (["--foil", "none.dat"], "none.dat cannot be read"),
        (["--model", "pd"], "no model pd; shipped: "),
        (["--edge", "M4"], "known are K, L1, L2 and L3"),
        (["--columns", "energy=1,mu=9"], "no column '9'; it has the columns energy"),
    ],
)
def test_what_is_wrongly_asked_ends_in_one_sentence(analyze, arguments, message):
    code, out, err = analyze("particles.xdi", *arguments)
    assert (code, out, len(err)) == (2, [], 1)
    assert message in err[0]


@pytest.mark.parametrize("columns", ["energy", "energy=", "colour=1", "energy=1,,"])
def test_columns_are_role_and_column(analyze, columns, capsys):
    with pytest.raises(SystemExit) as refused:
        analyze("no-names.txt", "--columns", columns)
    assert refused.value.code == 2
    assert "roles energy, i0, it, if, ir, mu, mu_ref" in capsys.readouterr().err


def test_the_reference_is_a_column_too(analyze):
    code, out, _ = analyze(
        "no-names.txt", "--columns", "energy=1,mu=3,mu_ref=2", "--json"
    )
    # Counts are no absorption: the scan is rejected, not misread.
    assert code == 0
    assert json.loads(out[0])["verdict"] == "rejected"
