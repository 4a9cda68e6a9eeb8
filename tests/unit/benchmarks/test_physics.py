"""A benchmark is worth its figures only if both sides compute the same."""

import json
import sys

import numpy as np
import pytest

from xasnn_stream.benchmarks import larch, physics
from xasnn_stream.benchmarks.spectra import on_common_grid, ragged
from xasnn_stream.cli.main import main
from xasnn_stream.physics.reduce import reduce


@pytest.fixture
def few(monkeypatch):
    """Measure shortly: shape and sense of a line do not need many rounds."""
    pytest.importorskip("larch")
    monkeypatch.setattr(physics, "_ROUNDS", 2)
    monkeypatch.setattr(physics, "_ROUND_S", 0.01)
    monkeypatch.setattr(physics, "_LARCH_SPECTRA", 1)
    monkeypatch.setattr(physics, "_MANY", (2, 6))


@pytest.mark.parametrize("make", [on_common_grid, ragged])
def test_both_sides_compute_the_same(make):
    pytest.importorskip("larch")
    spectra = make(5)
    ours = reduce(spectra.energy, spectra.mu, spectra.valid, physics.REDUCTION)
    for i in range(5):
        theirs = larch.chain(
            larch.load(), *physics.row(spectra, i),
            physics.REDUCTION.normalization, physics.REDUCTION.background,
            physics.REDUCTION.transform,
        )  # fmt: skip
        assert ours.normalized.e0[i].item() == theirs.e0
        step = ours.normalized.edge_step[i].item()
        assert step == pytest.approx(theirs.edge_step, rel=1e-9)
        chi = ours.background.chi[i, : len(theirs.k)].numpy()
        weight = theirs.k**2
        apart = np.abs(weight * (chi - theirs.chi)).max()
        assert apart <= 1e-3 * np.abs(weight * theirs.chi).max()
        magnitude = ours.transformed.chir_mag[i].numpy()
        assert np.abs(magnitude - theirs.chir_mag).max() <= 1e-3 * theirs.chir_mag.max()


def test_every_case_has_a_line_with_its_ratio(few):
    lines = [
        physics.compare(physics.Case(case.what, 3, case.make), "cpu")
        for case in physics.CASES
    ]
    for line in lines:
        rates = line["ours"]["spectra_per_s"], line["reference"]["spectra_per_s"]
        assert line["ratio"] == pytest.approx(rates[0] / rates[1], rel=0.01, abs=0.1)
    assert {line["grid"] for line in lines} == {"common", "ragged"}


def test_time_is_told_per_spectrum(few):
    line = physics.scaling("cpu")
    assert line["spectra"] == [2, 6]
    assert all(us > 0 for us in line["us_per_spectrum"])


def test_the_command_prints_what_its_process_measured(few, capfd, other_python):
    # The command's own part is to run it and to print.
    line = {
        "bench": "physics", "what": "pre_edge", "grid": "common", "device": "cpu",
        "batch": 256, "ours": {"spectra_per_s": 1000.0},
        "reference": {"name": "larch", "spectra_per_s": 10.0}, "ratio": 100.0,
    }  # fmt: skip
    other_python(json.dumps(line))
    assert main(["bench", "physics", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == line
    assert main(["bench", "physics"]) == 0
    assert capfd.readouterr().out == (
        "pre_edge, common grid, batch 256: 1000 spectra/s, larch 10, ratio 100\n"
    )


def test_without_larch_the_command_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "larch.xafs", None)
    assert main(["bench", "physics"]) == 2
    assert "pip install --no-deps xraylarch" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, capsys):
    pytest.importorskip("larch")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["bench", "physics", "--device", "cuda"]) == 2
    assert "no CUDA device" in capsys.readouterr().err
