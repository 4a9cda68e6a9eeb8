import numpy as np
import pytest

from xasnn_stream.simulation.beam import BeamSettings
from xasnn_stream.simulation.beamline import Beamline, seeded
from xasnn_stream.simulation.foil import measure_foil
from xasnn_stream.simulation.plans import edge_regions
from xasnn_stream.simulation.story import tell


def _events(documents):
    return [doc for name, doc in documents if name == "event"]


@pytest.fixture(scope="module")
def sweep(library, particles, run_engine):
    draws = seeded(1)
    chapter = tell(library, particles, 3, draws.story)[1]
    documents = []
    plan = Beamline(library, draws).sweep(chapter)
    run_engine(plan, lambda name, doc: documents.append((name, doc)))
    return chapter, documents


def test_the_grid_is_a_realistic_step_scan():
    energy = np.concatenate([region.energies_ev for region in edge_regions(11564.0)])
    x = energy - 11564.0
    steps = np.diff(x)

    assert 250 <= x.size <= 330
    assert (steps > 0).all()
    assert x[0] == -150.0
    assert 415 < x[-1] <= 420
    assert steps[(x[:-1] >= -20) & (x[:-1] < 29)].max() <= 0.5
    assert steps[(x[:-1] >= 30) & (x[:-1] < 119)].max() <= 1.0


def test_a_sweep_is_one_run_with_everything_announced(sweep):
    chapter, documents = sweep
    names = [name for name, _ in documents]
    start = documents[0][1]

    assert names[:2] == ["start", "descriptor"]
    assert names[-1] == "stop"
    assert start["plan_name"] == "xas_step_scan"
    assert (start["element"], start["edge"]) == ("Pt", "L3")
    assert start["sample"] == chapter.sample
    assert start["temperature_k"] == chapter.temperature_k
    assert start["num_points"] == names.count("event")
    assert start["simulation"]["truth"] == chapter.truth
    assert documents[-1][1]["num_events"] == {"primary": start["num_points"]}


def test_every_event_holds_the_plain_data_keys(sweep):
    _, documents = sweep

    for event in _events(documents):
        assert set(event["data"]) == {
            "mono_energy",
            "mono_energy_setpoint",
            "i0",
            "it",
            "ir",
        }


def test_the_dark_levels_are_measured_not_known(sweep):
    _, documents = sweep
    dark = documents[0][1]["dark"]

    for channel, level in BeamSettings().dark.items():
        assert dark[channel] != level
        assert dark[channel] == pytest.approx(level, rel=0.05)


def test_the_edge_is_in_both_the_sample_and_the_reference_channel(sweep):
    _, documents = sweep
    dark = documents[0][1]["dark"]
    data = [event["data"] for event in _events(documents)]
    i0, it, ir = (
        np.array([row[name] for row in data]) - dark[name]
        for name in ("i0", "it", "ir")
    )
    x = np.array([row["mono_energy"] for row in data]) - 11564.0
    before, behind = (x > -40) & (x < -20), (x > 100) & (x < 140)
    sample, foil = np.log(i0 / it), np.log(it / ir)

    assert sample[behind].mean() - sample[before].mean() == pytest.approx(1.0, abs=0.05)
    assert foil[behind].mean() - foil[before].mean() == pytest.approx(0.9, abs=0.05)


def test_a_seed_reproduces_the_counts(library, particles, measure, sweep):
    chapter, documents = sweep
    draws = seeded(1)
    tell(library, particles, 3, draws.story)
    again = measure(Beamline(library, draws).sweep(chapter))

    first, second = (
        [event["data"] for event in _events(run)] for run in (documents, again)
    )
    assert first == second


def test_the_foil_is_measured_into_a_column_file(library, run_engine, tmp_path):
    path = tmp_path / "foil.csv"
    measure_foil(run_engine, Beamline(library, seeded(2)), path)
    energy, mu = np.loadtxt(path, delimiter=",").T
    x = energy - 11564.0

    assert "# columns: energy mu" in path.read_text()
    assert mu[(x > 100) & (x < 140)].mean() - mu[(x > -40) & (x < -20)].mean() == (
        pytest.approx(0.9, abs=0.04)
    )
    # Noise of neighbours where the spectrum is flat: 0.2 % of the step, measured.
    flat = mu[(x < -32)]
    assert 5e-4 < np.std(np.diff(flat, 2)) / np.sqrt(6) < 3e-3
