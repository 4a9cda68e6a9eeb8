"""The ensemble in one batch and its members one by one: the same numbers, then times."""

import json
import sys

import pytest
import torch

from xasnn_stream.benchmarks import engine
from xasnn_stream.cli.main import main
from xasnn_stream.engine.inference import decompose, features
from xasnn_stream.networks.ensemble import forward


@pytest.fixture(scope="module")
def shipped():
    return engine.ensemble("cpu", 4)


def test_both_sides_compute_the_same(shipped):
    assert len(shipped.alone) == 4
    seen = engine.measurements(shipped, 200)
    ours = decompose(shipped.together, shipped.scaling, seen)
    reference = engine.parts_one_by_one(shipped, seen)
    for part in ("value", "model", "noise", "ambiguity"):
        mine, theirs = getattr(ours, part), getattr(reference, part)
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    assert (ours.noise > 0).all()
    inputs = features(shipped.scaling, seen.values, seen.noise[:, 0])
    together = forward(shipped.together, inputs)
    alone = engine.networks_one_by_one(shipped, inputs)
    for mine, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-11)


def test_an_ensemble_has_the_shipped_sizes_and_as_many_members_as_asked(shipped):
    twelve = engine.ensemble("cpu").together
    for name, tensor in twelve.items():
        assert tensor.shape == (12, *shipped.together[name].shape[1:])
        assert tensor.dtype == torch.float64
        assert torch.equal(tensor[:4], shipped.together[name])


def test_lines_give_both_rates_and_their_ratio(shipped, monkeypatch):
    monkeypatch.setattr(engine, "_ROUNDS", 2)
    monkeypatch.setattr(engine, "_ROUND_S", 0.001)
    lines = list(engine.compare(shipped, 3))
    assert [line["what"] for line in lines] == [
        "4 members, estimates",
        "4 members, networks alone",
    ]
    for line in lines:
        assert (line["bench"], line["device"], line["batch"]) == ("engine", "cpu", 3)
        rates = line["ours"]["spectra_per_s"], line["reference"]["spectra_per_s"]
        assert line["ratio"] == pytest.approx(rates[0] / rates[1], rel=0.02)


def test_a_line_reads_as_a_sentence(monkeypatch, capfd, other_python):
    line = {
        "bench": "engine", "what": "12 members, estimates", "device": "cpu", "batch": 8,
        "ours": {"spectra_per_s": 4000.0},
        "reference": {"name": "one by one", "spectra_per_s": 1250.0}, "ratio": 3.2,
    }  # fmt: skip
    other_python(json.dumps(line))
    # Larch is not asked for: this benchmark brings its reference.
    monkeypatch.setitem(sys.modules, "larch.xafs", None)
    assert main(["bench", "engine", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == line
    assert main(["bench", "engine"]) == 0
    assert capfd.readouterr().out == (
        "12 members, estimates, batch 8: 4000 spectra/s, one by one 1250, ratio 3.2\n"
    )
