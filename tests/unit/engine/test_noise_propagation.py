"""What the noise part promises is what repeated measurements show."""

import numpy as np
import pytest

from .conftest import AXIS, E0

COPIES = 120
NOISE = 2e-3
COARSE = E0 + np.concatenate(
    (np.arange(-200, -30, 5.0), np.arange(-30, 20, 0.5), np.arange(20, 451, 2.0))
)


def copies(sweep, absorption, energy, own_channel):
    """Return measurements that differ in counting noise alone."""
    rng = np.random.default_rng(3)
    mu = absorption("to38", energy)
    foil = absorption("bulk", energy)
    for _ in range(COPIES):
        # Relative noise of every chamber, as counting gives it.
        i0, it, ir = 1 + NOISE / np.sqrt(2) * rng.normal(size=(3, len(energy)))
        channels = {"i0": 1e6 * i0, "it": 1e6 * np.exp(-mu) * it}
        if own_channel:
            channels["ir"] = 1e6 * np.exp(-mu - foil) * ir
        yield sweep(energy=energy, mu=mu, channels=channels)


@pytest.mark.usefixtures("one_scan")
@pytest.mark.parametrize("energy", [AXIS, COARSE], ids=["fine", "2 eV from +20 eV"])
@pytest.mark.parametrize("own_channel", [False, True], ids=["foil file", "own channel"])
def test_repeated_measurements_scatter_as_promised(
    load, foil, sweep, absorption, energy, own_channel
):
    engine = load(None if own_channel else foil)
    found = engine.estimate(list(copies(sweep, absorption, energy, own_channel)))
    ratios = []
    for name in ("cn1", "cn2", "cn3", "cn4"):
        values = [estimate.descriptors[name].value for estimate in found]
        promised = [estimate.descriptors[name].std_noise for estimate in found]
        ratios.append(np.std(values) / np.mean(promised))
    # The spread of 120 values is good to 7 %; first-order propagation and the noise
    # read from the spectrum itself to another 10 %.
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.2), ratios
    assert all(0.7 < ratio < 1.35 for ratio in ratios), ratios
