"""`xasnn-stream normalize`: what it prints where, what it writes, how it ends."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.cli import normalize as command
from xasnn_stream.cli.main import main, parser
from xasnn_stream.physics.settings import Background, Normalization, Transform

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
ARRAYS = ["energy", "norm", "norm_std", "flat", "flat_std"]
ARRAYS += ["k", "chi", "chi_std", "r", "chir_mag"]


@pytest.fixture
def normalize(tmp_path, monkeypatch, capsys):
    """A function: run the command among the example files; code, output, errors."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "examples")

    def normalize(*arguments: str):
        code = main(["normalize", *arguments])
        written = capsys.readouterr()
        return code, written.out.splitlines(), written.err.splitlines()

    return normalize


def of_json(output):
    """Return the only document of a JSON output."""
    (line,) = output[1]
    return json.loads(line)


def test_a_line_of_json_per_scan_and_nothing_else(normalize):
    files = ("foil.dat", "no-names.txt", "iron.xdi", "particles.xdi")
    code, out, err = normalize(*files, "--json")
    assert code == 2
    found = [json.loads(line) for line in out]
    assert [each["file"] for each in found] == [files[0], *files[2:]]
    assert [each["edge"] for each in found] == ["Pt L3", "Fe K", "Pt L3"]
    assert all(each["quality"]["flags"] == [] for each in found)
    assert all("arrays" not in each for each in found)
    assert len(err) == 1
    assert "its columns have no names known here" in err[0]


def test_arrays_are_lists_of_one_length_per_axis(normalize):
    found = of_json(normalize("foil.dat", "--json", "--arrays"))
    arrays = found["arrays"]
    assert list(arrays) == ARRAYS
    assert len(arrays["energy"]) == len(arrays["norm"]) == len(arrays["flat"]) == 313
    assert len(arrays["k"]) == len(arrays["chi"])
    assert arrays["k"][:2] == [0.0, 0.05]
    assert arrays["k"][-1] <= found["parameters"]["bkg_kmax"] + 1e-9
    assert len(arrays["r"]) == len(arrays["chir_mag"]) == 326
    noise = found["quality"]["noise"]
    # Beside the point's noise that of the step, a little larger.
    assert noise < np.median(arrays["norm_std"]) < 2 * noise
    assert len(arrays["chi_std"]) == len(arrays["chi"])
    middle = slice(60, 160)
    assert np.median(arrays["chi_std"][middle]) == pytest.approx(noise, rel=0.5)
    norm = np.array(arrays["norm"])
    assert abs(norm[:10].mean()) < 0.003
    assert np.array(arrays["flat"])[-100:].mean() == pytest.approx(1.0, abs=0.01)


def test_the_parameters_that_were_used_are_told(normalize):
    given = ("--e0", "11563", "--pre1", "-120", "--pre2=-40", "--norm1", "100")
    more = ("--norm2", "380", "--nnorm", "1", "--rbkg", "1.2", "--kweight", "3")
    ends = ("--bkg-kmax", "9", "--kmin", "2", "--kmax", "8.5", "--window", "hanning")
    found = of_json(normalize("foil.dat", *given, *more, *ends, "--json"))
    wanted = {"e0": 11563, "pre1": -120, "pre2": -40, "norm1": 100, "norm2": 380}
    wanted |= {"nnorm": 1, "rbkg": 1.2, "kweight": 3, "bkg_kweight": 3, "bkg_kmax": 9}
    wanted |= {"kmin": 2, "kmax": 8.5, "window": "hanning", "clamp_hi": 1.0}
    assert {name: found["parameters"][name] for name in wanted} == wanted


def test_defaults_are_those_of_larch(normalize):
    arguments = parser().parse_args(["normalize", "foil.dat"])
    settings = command._request(arguments).settings
    assert settings.normalization == Normalization()
    assert settings.background == Background()
    assert settings.transform == Transform()


def test_a_table_has_one_head_and_sentences_beneath(normalize):
    code, out, err = normalize("foil.dat", "iron.xdi")
    assert (code, err) == (0, [])
    assert out[0].split()[:4] == ["file", "scan", "edge", "e0"]
    assert out[1].split()[:5] == ["foil.dat", "-", "Pt", "L3", "11564.00"]
    assert out[2].startswith("    Pt L3 guessed from the steepest rise")
    assert out[3].split()[:5] == ["iron.xdi", "-", "Fe", "K", "7119.00"]


def test_curves_are_written_with_their_parameters(normalize):
    code, _, _ = normalize("foil.dat", "foil.dat", "--output", "out", "--rbkg", "1.1")
    assert code == 0
    kinds = ("chi.dat", "chir.dat", "json", "norm.dat")
    names = [f"foil{number}.{kind}" for number in ("-2", "") for kind in kinds]
    assert sorted(path.name for path in Path("out").iterdir()) == names
    text = Path("out/foil.norm.dat").read_text()
    assert "# Parameters.rbkg: 1.1\n" in text
    assert "# Element.symbol: Pt\n" in text
    document = json.loads(Path("out/foil.json").read_text())
    energy, norm = np.loadtxt("out/foil.norm.dat", usecols=(0, 5), unpack=True)
    assert norm == pytest.approx(np.array(document["arrays"]["norm"]), abs=1e-8)
    assert energy == pytest.approx(np.array(document["arrays"]["energy"]), abs=1e-4)
    k, chi, std = np.loadtxt("out/foil.chi.dat", unpack=True)
    assert (std[20:] > 0).all()
    assert len(k) == len(chi) == len(document["arrays"]["k"])


def test_what_is_written_can_be_read_again(normalize):
    normalize("particles.xdi", "--output", "out")
    first = of_json(normalize("particles.xdi", "--json"))
    again = of_json(normalize("out/particles.norm.dat", "--json"))
    assert again["edge"] == "Pt L3"
    for name in ("e0_ev", "edge_step"):
        assert again["quality"][name] == pytest.approx(first["quality"][name], rel=1e-8)


def test_an_unusable_scan_has_its_line_and_its_sentence(normalize):
    code, out, err = normalize("iron.xdi", "--element", "Pt", "--edge", "L3", "--json")
    assert code == 2
    (found,) = map(json.loads, out)
    assert found["problem"]["code"] == "wrong_energy"
    assert "arrays" not in found
    assert err == [
        "xasnn-stream: iron.xdi: the scan runs from 6962 to 7529 eV, Pt L3 is at 11564 eV"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pre1=-30", "--pre2=-50"], "--pre1 and --pre2: -30 is not below -50"),
        (["--rbkg", "0"], "--rbkg 0: must be above zero"),
        (["--kmin", "9", "--kmax", "3"], "--kmin and --kmax: 9 is not below 3"),
        (["--nclamp", "-3"], "--nclamp -3: from 0 to 100"),
        (["--dk", "1e5"], "--dk 100000: from 0 to 100"),
        (["--kweight", "5"], "--kweight 5: 0, 1, 2 or 3"),
        (["--others", "Au,Xx"], "--others Xx: no such element"),
        (["--edge", "M4"], "known are K, L1, L2 and L3"),
    ],
)
def test_what_is_wrongly_asked_ends_in_one_sentence(normalize, arguments, message):
    code, out, err = normalize("foil.dat", *arguments)
    assert (code, out, len(err)) == (2, [], 1)
    assert message in err[0]


def test_what_cannot_be_read_is_told_before_torch_is_loaded(tmp_path):
    program = (
        "import sys; from xasnn_stream.cli.main import main; "
        "code = main(['normalize', 'nowhere.dat']); "
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.stdout == "2 False\n"
    assert "nowhere.dat cannot be read" in done.stderr


def test_every_option_says_what_it_is():
    commands = next(
        action
        for action in parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    actions = commands.choices["normalize"]._actions
    assert [a.option_strings for a in actions if a.option_strings and not a.help] == []
