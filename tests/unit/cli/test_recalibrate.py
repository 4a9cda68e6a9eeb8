import json

import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.shipped import shipped_folder

NAME = "pt-l3-xanes"
LIBRARY = shipped_folder("models") / "libraries" / "Pt_L3.npz"


@pytest.fixture
def listed(examples):
    """A function that writes a list of measured samples beside the examples."""

    def write(*entries, name="known.yaml"):
        path = examples / name
        path.write_text(json.dumps(entries))
        return str(path)

    return write


def sample(name, **known):
    return {"file": "particles.xdi", "foil": "foil.dat", "sample": name} | known


def test_spectra_of_a_library_make_a_model_that_is_whole(tmp_path, capsys):
    output = tmp_path / "v2"
    command = ["recalibrate", NAME, str(LIBRARY), "--output", str(output)]
    assert main([*command, "--count", "40"]) == 0
    told = capsys.readouterr().out
    assert "known samples" in told
    assert "cn1" in told
    calibration = json.loads((output / "manifest.json").read_text())["calibration"]
    assert 20 <= calibration["n"] <= 40
    assert calibration["n"] % calibration["n_particles"] == 0
    assert calibration["samples"] == ["Pt_L3.npz"]
    assert main(["models", "verify", str(output)]) == 0
    assert main(["models", "show", str(output)]) == 0
    assert "Version 2: intervals recalibrated" in capsys.readouterr().out


def test_measured_files_with_known_values_widen_what_they_know(
    tmp_path, listed, capsys
):
    # The truth of the example is 8.98: a sample said to be a foil is far off.
    path = listed(*(sample(name, cn1=12.0) for name in "abc"))
    output = tmp_path / "v2"
    assert main(["recalibrate", NAME, path, "--output", str(output)]) == 0
    told = capsys.readouterr().out
    assert "3 spectra of 3 known samples" in told
    calibration = json.loads((output / "manifest.json").read_text())["calibration"]
    before = calibration["before"]["quantiles"]["0.68"]
    after = calibration["quantiles"]["0.68"]
    assert after["cn1"] > 2 * before["cn1"]
    assert after["cn2"] == before["cn2"]
    assert calibration["highest_level"] == {"cn1": 0.68}


def test_every_mistake_in_a_list_is_told_at_once(listed, tmp_path, capsys):
    path = listed(
        {"file": "particles.xdi"}, {"cn1": "twelve", "cn9": 1}, "particles.xdi"
    )
    output = tmp_path / "v2"
    assert main(["recalibrate", NAME, path, "--output", str(output)]) == 2
    (complaint,) = capsys.readouterr().err.splitlines()
    for mistake in (
        "sample 1 says nothing that is known",
        "sample 2: cn9 is none of file, foil, sample, cn1",
        "sample 2: cn1 must be a number",
        "sample 2 names no file",
        "sample 3 is no mapping",
    ):
        assert mistake in complaint
    assert not output.exists()


@pytest.mark.parametrize("text", ["{", "cn1: 12", "[]"])
def test_a_file_that_is_no_list_is_refused(examples, tmp_path, capsys, text):
    path = examples / "known.yaml"
    path.write_text(text)
    command = ["recalibrate", NAME, str(path), "--output", str(tmp_path / "v2")]
    assert main(command) == 2
    assert str(path) in capsys.readouterr().err


def test_a_sample_that_cannot_be_estimated_is_named(listed, tmp_path, capsys):
    path = listed(sample("a", cn1=9) | {"file": "missing.xdi"})
    assert main(["recalibrate", NAME, path, "--output", str(tmp_path / "v2")]) == 2
    assert "missing.xdi" in capsys.readouterr().err


def test_too_few_samples_are_refused_with_how_many_are_needed(listed, tmp_path, capsys):
    path = listed(sample("a", cn1=9), sample("b", cn1=9), sample("a", cn1=9))
    assert main(["recalibrate", NAME, path, "--output", str(tmp_path / "v2")]) == 2
    assert "2 known samples cannot support any interval" in capsys.readouterr().err


def test_a_count_below_one_is_refused(tmp_path, capsys):
    command = ["recalibrate", NAME, str(LIBRARY), "--output", str(tmp_path / "v2")]
    assert main([*command, "--count", "0"]) == 2
    assert "--count must be at least 1" in capsys.readouterr().err
