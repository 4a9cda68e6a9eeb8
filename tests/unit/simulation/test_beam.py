import numpy as np
import pytest

from xasnn_stream.simulation.absorption import Absorber
from xasnn_stream.simulation.beam import BeamSettings, SimulatedBeam


def _flat(mu):
    return Absorber(np.array([0.0, 1e5]), np.array([mu, mu]))


def _readings(beam, count, dwell_s=0.25, open_=True):
    rows = [beam.expose(11600.0, dwell_s, open_) for _ in range(count)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_the_noise_of_mu_is_two_tenths_of_a_percent_of_the_step_per_ev():
    beam = SimulatedBeam(np.random.default_rng(2))
    beam.sample = _flat(1.4)
    read = _readings(beam, 2000)
    dark = BeamSettings().dark
    mu = np.log((read["i0"] - dark["i0"]) / (read["it"] - dark["it"]))

    # Flicker and decay cancel in the ratio; 2000 draws know their std to 1.6 %.
    assert np.std(mu) == pytest.approx(0.002, rel=0.07)
    assert np.mean(mu) == pytest.approx(1.4, abs=2e-4)


def test_the_foil_is_seen_behind_the_sample():
    beam = SimulatedBeam(np.random.default_rng(3))
    beam.sample, beam.foil = _flat(1.0), _flat(0.5)
    read = _readings(beam, 400)
    dark = BeamSettings().dark

    ratio = (read["it"] - dark["it"]) / (read["ir"] - dark["ir"])
    assert np.mean(np.log(ratio)) == pytest.approx(0.5, abs=5e-4)


def test_the_beam_decays_by_exposure():
    beam = SimulatedBeam(np.random.default_rng(4), BeamSettings(lifetime_s=100.0))
    first = beam.expose(11600.0, 1.0, True)["i0"]
    beam.expose(11600.0, 98.0, True)
    last = beam.expose(11600.0, 1.0, True)["i0"]

    # exp(-0.99), to the 0.2 % flicker of two readings and the dark level.
    assert last / first == pytest.approx(np.exp(-0.99), rel=0.02)


def test_in_the_dark_only_the_dark_current_is_counted():
    beam = SimulatedBeam(np.random.default_rng(5))
    read = _readings(beam, 100, open_=False)

    for channel, level in BeamSettings().dark.items():
        assert np.mean(read[channel]) == pytest.approx(level, rel=0.01)
