import json
from pathlib import Path

import pytest

from xasnn_stream.cli.main import main


def _lines(path: Path) -> list[list]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_folder_holds_documents_files_and_truth(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    assert main(["simulate", "iss-fly", "--sweeps", "2", "--output", str(folder)]) == 0

    documents = _lines(folder / "documents.jsonl")
    truth = json.loads((folder / "truth.json").read_text())
    named = [doc for name, doc in documents if name == "resource"]
    assert all((Path(d["root"]) / d["resource_path"]).is_file() for d in named)
    assert len(named) == 2
    assert [sweep["direction"] for sweep in truth] == ["up", "down"]
    assert len(truth[0]["energy_ev"]) == len(truth[0]["mu"]) > 1000
    assert truth[0]["expected"] == {"outcome": "measured", "reason": ""}
    assert not (folder / "stored.jsonl").exists()


def test_a_fault_leaves_what_an_archive_has_beside_what_came(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    asked = ["simulate", "sim-quick", "--fault", "lost-events", "--output", str(folder)]
    assert main(asked) == 0

    came, stored = (_lines(folder / f"{n}.jsonl") for n in ("documents", "stored"))
    assert len(stored) == len(came) + 1
    truth = json.loads((folder / "truth.json").read_text())
    assert [sweep["expected"]["outcome"] for sweep in truth].count("lost") == 1


def test_documents_without_files_go_to_standard_output(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert main(["simulate", "sim-quick", "--sweeps", "1", "--output", "-"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)[0] for line in lines][:1] == ["start"]
    assert json.loads(lines[-1])[0] == "stop"


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (["sim-quick"], "name a folder with --output"),
        (["iss-fly", "--output", "-"], "refer to files"),
        (["sim-quick", "--output", "-", "--fault", "sead"], "cannot have the fault"),
        (["sim-quick", "--output", "-", "--sweeps", "0"], "0 sweeps"),
        (["sim-quick", "--output", "-", "--seed", "-1"], "-1 is no seed"),
        (["sim-quick", "--output", "-", "--noise", "-1"], "a share of the reading"),
        (["sim-step", "--output", "-", "--mode", "fluorescence"], "transmission only"),
        (["sim-quick", "--output", "."], "is there already"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    asked: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *asked]) == 2
    assert complaint in capsys.readouterr().err


def test_faults_of_a_shape_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "bmm-step", "--faults"]) == 0
    listed = capsys.readouterr().out
    assert "sead: " in listed
    assert "late-file" not in listed
