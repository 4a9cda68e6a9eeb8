"""The ensemble in one batch and its members one by one: the same numbers, then times."""

import json
import sys

import pytest
import torch

from xasnn_stream.benchmarks import engine
from xasnn_stream.cli.main import main
from xasnn_stream.networks.ensemble import Shape, forward, initialize


@pytest.fixture
def parameters():
    generator = torch.Generator().manual_seed(5)
    drawn = initialize(
        Shape(members=4, inputs=7, hidden=8, depth=2, outputs=3), generator
    )
    return {name: tensor.double() for name, tensor in drawn.items()}


def test_both_sides_compute_the_same(parameters):
    generator = torch.Generator().manual_seed(6)
    inputs = torch.randn(200, 7, generator=generator, dtype=torch.float64)
    alone = engine.members_alone(parameters)
    assert len(alone) == 4
    at_once = forward(parameters, inputs)
    for ours, reference in zip(at_once, engine.one_by_one(alone, inputs), strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-13)


def test_an_ensemble_has_the_shipped_sizes_and_as_many_members_as_asked():
    twelve, two = engine.ensemble("cpu"), engine.ensemble("cpu", 2)
    for name, tensor in twelve.items():
        assert tensor.shape == (12, *two[name].shape[1:])
        assert tensor.dtype == torch.float64
        assert torch.equal(tensor[:2], two[name])


def test_a_line_gives_both_rates_and_their_ratio(parameters, monkeypatch):
    monkeypatch.setattr(engine, "_ROUNDS", 2)
    monkeypatch.setattr(engine, "_ROUND_S", 0.001)
    line = engine.compare(parameters, 3)
    assert (line["bench"], line["device"], line["batch"]) == ("engine", "cpu", 3)
    rates = line["ours"]["spectra_per_s"], line["reference"]["spectra_per_s"]
    assert line["ratio"] == pytest.approx(rates[0] / rates[1], rel=0.01)


def test_a_line_reads_as_a_sentence(monkeypatch, capfd, other_python):
    line = {
        "bench": "engine", "what": "12 members", "device": "cpu", "batch": 8,
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
        "12 members, batch 8: 4000 spectra/s, one by one 1250, ratio 3.2\n"
    )
