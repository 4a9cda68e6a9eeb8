"""χ(k) and χ(R) of measured spectra beside larch's, from larch's e0 and step."""

import numpy as np
import pytest

from tests.bench.background import SETTINGS, by_larch, deviations, ours, spectra

pytestmark = pytest.mark.measured

LIMIT = 0.01
FOILS = (
    "Cu_K_13IDE2016.csv", "Pt_L3_13IDC2001.csv", "Fe_K_13BM2002.csv", "Au_L3_13IDE2016.csv",
    "W_L3_1.csv", "MnO2_rt_01.csv", "zirconolite_Pristine.csv", "Cr2O3/000.csv.gz",
)  # fmt: skip
"""Beside metals, an insulator's short scan, a step of 8 and one in 0.1 eV steps."""

IN_COUNTS = {
    "auo_noisy.csv": "a step of 1520, and noise: larch's weights of the clamps are those "
    "of counts, its fit stops at an objective 70 times its minimum",
    "Cu_glass_KMDG1.csv": "a step of 57: larch's fit stops 20 % above its minimum",
}
"""Where larch on μ as measured is not larch on μ/edge step."""

ALIKE = {
    f"Cr2O3/{number:03}.csv.gz" for number in range(1, 65) if number not in (6, 35)
}
"""Repeats of one spectrum; the bench goes through them all."""

LARCH_RAISES = {"Cr2O3/006.csv.gz", "Cr2O3/035.csv.gz", "Yb_iron_03.csv"}
"""Two scans that end 7 eV above the edge; and a fit that ends without a covariance."""


@pytest.fixture(scope="module")
def measured():
    pytest.importorskip("larch.xafs")
    return {name: pair for name, *pair in spectra() if name not in ALIKE}


def worst(spectrum, settings, per_step):
    """Return the larger of both deviations, None where larch raises."""
    larch = by_larch(*spectrum, settings, per_step)
    if larch is None:
        return None
    return max(deviations(ours(*spectrum, *larch[1:], settings), larch[0])[:2])


@pytest.mark.parametrize("name", ["reference", "default"])
def test_chi_of_every_spectrum_is_larchs(measured, name):
    found = {
        label: worst(spectrum, SETTINGS[name], per_step=True)
        for label, spectrum in measured.items()
    }
    assert len(found) > 110
    assert {label for label, value in found.items() if value is None} == LARCH_RAISES
    usable = {label: value for label, value in found.items() if value is not None}
    unlike = {label: value for label, value in usable.items() if value > LIMIT}
    assert not unlike


def test_units_matter_to_larch_only_for_spectra_in_counts(measured):
    # Where μ changes by less than three, larch is our referee of every spectrum above.
    found = {
        label: worst(spectrum, SETTINGS["reference"], per_step=False)
        for label, spectrum in measured.items()
        if np.ptp(spectrum[1]) > 3
    }
    assert len(found) > 10
    unlike = {label for label, value in found.items() if (value or 0) > LIMIT}
    assert unlike == IN_COUNTS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_chi_is_larchs_with_other_parameters(measured, name):
    for label in FOILS:
        assert worst(measured[label], SETTINGS[name], per_step=True) < LIMIT, label
