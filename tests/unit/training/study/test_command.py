import json

from xasnn_stream.errors import WRONG_USAGE
from xasnn_stream.training.study import command
from xasnn_stream.training.study.arms import ARMS


def run(tmp_path, capsys, *options):
    output = tmp_path / "study"
    code = command.main(["--quick", "--output", str(output), *map(str, options)])
    return code, output, capsys.readouterr()


def test_a_quick_study_writes_numbers_and_pictures(tmp_path, capsys):
    code, output, printed = run(tmp_path, capsys)
    assert code == 0
    study = json.loads((output / "study.json").read_text())
    assert study["schema"] == command.SCHEMA
    assert study["quick"] is True
    assert [row["arm"] for row in study["arms"]] == [arm.name for arm in ARMS]
    for row in study["arms"]:
        assert 0 < row["theory A"]["cn1"] < 6, row["arm"]
        assert "theory B" not in row
    for name in ("toy.png", "transfer.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")
    assert "| undo, linear, difference, to 90 eV |" in printed.out
    assert "--theory" in printed.out
    assert "--data" in printed.out
    assert not printed.err


def test_a_theory_that_is_not_there_is_told_in_one_sentence(tmp_path, capsys):
    code, _, printed = run(tmp_path, capsys, "--theory", tmp_path / "Pt_L3_alt.npz")
    assert code == WRONG_USAGE
    assert "Pt_L3_alt.npz" in printed.err
    assert printed.err.count("\n") == 1


def test_a_folder_without_measured_spectra_is_told(tmp_path, capsys):
    code, _, printed = run(tmp_path, capsys, "--data", tmp_path)
    assert code == WRONG_USAGE
    assert "--data names the measured spectra" in printed.err
