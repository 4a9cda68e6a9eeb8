"""Predicted over observed noise on measured foils and repeats."""

import pytest

from tests.bench.noise import LEVELS, Ratios, gaussian, poisson, repeats
from tests.conftest import MEASURED

pytestmark = pytest.mark.measured

DRAWS = 200
SCATTER = 4 / (2 * DRAWS) ** 0.5
"""Four standard errors of a standard deviation from so many draws, relative."""

WHITE = (
    "Cr2O3",
    "Hg_control",
    "As2O3_rt",
    "bromoadamantane_ref",
    "Ni_K_13IDC2001",
    "Cu_K_Balder",
    "Fe_K_Balder",
    "V_K_Balder",
)
"""Sets whose scans differ by a trend, a size and a shift of the axis, and by noise."""


def near_one(found: Ratios) -> None:
    for name, ratio in found.items():
        # Step and norm hang on the few points before the edge, whose draws scatter.
        one_number = name.strip("*") in ("step", "norm")
        assert ratio == pytest.approx(1, abs=SCATTER if one_number else 0.1), name


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["Pt_L3_13IDC2001", "Cu_K_13IDE2016"])
def test_white_noise_on_a_foil_is_predicted(name, level):
    path = MEASURED / "spectra" / f"{name}.csv"
    near_one(gaussian(path, level, DRAWS, free=False))


def test_counts_of_a_foils_chambers_are_predicted():
    path = MEASURED / "spectra" / "Pt_L3_13IDC2001.csv"
    near_one(poisson(path, 0.01, DRAWS))


@pytest.mark.parametrize("name", WHITE)
def test_scatter_between_repeats_is_read_from_each_scan(name):
    found = repeats(MEASURED, name)
    assert 0.8 < found["mu"] < 1.25
    assert 0.8 < found["white"] < 1.25


def test_drift_between_scans_is_not_the_noise_of_a_scan():
    found = repeats(MEASURED, "bromoadamantane")
    # What is left resembles its neighbours, as noise does not: the scans differ.
    assert found["lag"] > 0.3
    assert found["white"] < 0.8
