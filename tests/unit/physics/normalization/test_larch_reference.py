"""Normalization of measured spectra against larch's stored results."""

import json
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

DATA = Path(__file__).parents[5] / "shared" / "xas-data"
REFERENCE = DATA / "reference" / "larch_reference.json"
FOILS = (
    "Pt_L3_13IDC2001",
    "Au_L3_13IDE2016",
    "Cu_K_13IDE2016",
    "Ni_K_13IDC2001_1",
    "Ni_K_13IDC2001_2",
)
KNOWN = {
    "Hg_control/0001": "its encoder steps backwards: larch takes points in the order "
    "of acquisition, this package in the order of energy",
    "Yb_iron_02": "a step of 0.005 on a slope: neither e0 is the edge's",
}

pytestmark = pytest.mark.measured


@pytest.fixture(scope="module")
def reference():
    return json.loads(REFERENCE.read_text())["spectra"]


def spectrum(name):
    """Return energy and μ, ascending and finite."""
    found = [DATA / "spectra" / f"{name}.csv{end}" for end in ("", ".gz")]
    path = next(path for path in found if path.is_file())
    energy, mu = np.loadtxt(path, delimiter=",", usecols=(0, 1), unpack=True)
    order = np.argsort(energy, kind="stable")
    energy, mu = energy[order], mu[order]
    good = np.isfinite(energy) & np.isfinite(mu)
    energy, mu = energy[good], mu[good]
    first = np.r_[True, np.diff(energy) > 0]
    return energy[first], mu[first]


def deviations(name, larch):
    """Return Δe0 (eV), the relative error of the step, rms of flattened μ."""
    pair = spectrum(name)
    energy, valid = stack([pair[0]])
    mu, _ = stack([pair[1]])
    result = normalize(energy, mu, valid, Normalization())
    grid = np.array(larch["e_grid"], float)
    flat = np.array(larch["flat"], float)
    near = (grid >= larch["e0"] - 20) & (grid <= larch["e0"] + 150)
    near &= np.isfinite(flat)
    ours = np.interp(grid, pair[0], result.flat[0].numpy())
    return (
        result.e0.item() - larch["e0"],
        # larch drops the sign of the step.
        abs(result.edge_step.item()) / larch["edge_step"] - 1,
        np.sqrt(np.mean((ours - flat)[near] ** 2)),
    )


def agrees(shift, step, rms):
    return abs(shift) <= 0.05 and abs(step) <= 0.005 and rms <= 0.003


@pytest.mark.parametrize("name", FOILS)
def test_a_foil_is_normalized_as_by_larch(reference, name):
    shift, step, rms = deviations(name, reference[name])
    assert abs(shift) <= 0.05
    assert abs(step) <= 0.005
    assert rms <= 0.003


def test_every_other_spectrum_is_normalized_as_by_larch(reference):
    assert len(reference) > 90
    found = {name: deviations(name, larch) for name, larch in reference.items()}
    unlike = {name for name, values in found.items() if not agrees(*values)}
    assert unlike == KNOWN.keys(), {name: found[name] for name in unlike}
