import json

import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.training import evaluation


def scores(value):
    return {"cn1": value, "cn3": 2 * value}


ROW = {
    "model": "m",
    "split": "held-out",
    "condition": "N1",
    "shapes": "fcc",
    "n": 2000,
    "n_particles": 8,
    "mae": scores(0.2),
    "mae_over_bulk": 0.0166,
    "resolved": {"cn1": True, "cn3": False},
    "coverage": {"0.9": scores(0.45)},
    "width90": scores(1.0),
    "baseline": {"ridge": {"mae": scores(0.3), "mae_over_bulk": 0.025}},
}
RECALIBRATED = ROW | {
    "split": "recalibrated",
    "condition": "N1 recalibrated",
    "before": {"coverage": {"0.9": scores(0.3)}, "width90": scores(0.5)},
    "coverage_spread": scores(0.03),
    "known_spectra": 100,
    "known_particles": 3,
    "repeats": 50,
}
SETS = {
    "model": "m",
    "split": "test sets",
    "mae": scores(0.25),
    "coverage": {"0.9": scores(0.4)},
    "spread": {"mae": scores(0.05), "coverage": {"0.9": scores(0.01)}},
    "sets": [
        ROW | {"library": "Pt_L3_alt", "coverage": scores(0.45)},
        ROW | {"condition": "N1x2", "coverage": scores(0.35)},
    ],
}


@pytest.fixture(autouse=True)
def evaluated(monkeypatch):
    asked = []

    def evaluate_folder(model, folder, library):
        asked.append((model.name, folder.name, library))
        yield from (ROW, ROW | {"condition": "noise"}, RECALIBRATED, SETS)

    monkeypatch.setattr(evaluation, "evaluate_folder", evaluate_folder)
    return asked


def test_a_reader_sees_errors_beside_ridge_and_what_is_not_resolved(capsys):
    assert main(["evaluate", "pt-l3-xanes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "held-out"
    assert lines.count("held-out") == 1
    assert "particles 8" in lines[2]
    assert "cn1 0.200 (ridge 0.300, covered 45%, width 1.00)" in lines[2]
    assert "cn3* 0.400" in lines[2]
    assert "MAE/bulk 1.66% (ridge 2.50%)" in lines[2]


def test_a_reader_sees_what_recalibration_does(capsys):
    assert main(["evaluate", "pt-l3-xanes"]) == 0
    page = capsys.readouterr().out
    assert "on 100 spectra of 3 particles, measured on the other 5, at N1" in page
    assert "cn1        90%: 45.0% (30.0%)  width 1 (0.5)  one choice ±3 points" in page


def test_a_reader_sees_test_sets_beside_each_other(capsys):
    assert main(["evaluate", "pt-l3-xanes"]) == 0
    *_, first, second, mean, spread = capsys.readouterr().out.splitlines()
    assert first.split("  ")[1] == "Pt_L3_alt held-out, N1, fcc"
    assert "0.200 ( 45%)" in first
    assert second.strip().startswith("held-out, N1x2, fcc")
    assert mean.split()[0] == "mean"
    assert "0.250 ( 40%)" in mean
    assert "0.050 (  1%)" in spread


def test_json_is_a_row_per_line(capsys, evaluated, tmp_path):
    command = ["evaluate", "pt-l3-xanes", "--json", "--library", str(tmp_path)]
    assert main(command) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    made = [ROW, ROW | {"condition": "noise"}, RECALIBRATED, SETS]
    for row, one in zip(rows, made, strict=True):
        assert one.items() <= json.loads(json.dumps(row)).items()
        # Each line has every metric, those it has not measured without a value.
        assert row["rmse"] == row["novelty_auroc"] == {}
    assert evaluated == [("pt-l3-xanes", "pt-l3-xanes", tmp_path)]
