"""Energies: columns, and Bragg's law from the counts of an encoder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xasnn_stream.assembly.energy import energies
from xasnn_stream.assembly.settings import Bragg, Energy, Quantity

HC, D = 12398.42, 3.1356
COUNTS_PER_DEGREE = 360000.0
ANGLE_OFFSET = 0.137  # degrees, as the start document states it


def encoder(fold="xor24", sign=-1.0, **changes) -> Energy:
    law = {
        "counts_per_degree": Quantity(default=COUNTS_PER_DEGREE),
        "d_spacing": Quantity(default=D),
        "hc": HC,
        "offset_deg": Quantity(paths=("angle_offset",), factor=-1.0),
    }
    return Energy(key="encoder", bragg=Bragg(**(law | changes), fold=fold, sign=sign))


def test_a_column_in_kev_becomes_ev():
    readings = np.array([11.5, 11.564])

    assert energies(readings, Energy("mono", unit="keV"), {}) == pytest.approx(
        [11500.0, 11564.0], abs=1e-9
    )
    assert energies(readings, Energy("mono"), {}) == pytest.approx([11.5, 11.564])


def test_a_row_that_was_never_filled_has_no_energy():
    found = energies(np.array([0.0, -3.5e6]), encoder(), {"angle_offset": -0.137})

    assert np.isnan(found).tolist() == [True, False]


def test_an_unsigned_count_means_what_the_beamline_computes_from_it_to_two_counts():
    """E = -hc / (2 d sin(rad(c/360000 - off))), off = -angle_offset, as its own code."""
    counts = 0x1000000 - np.arange(3_512_344, 3_512_544)
    folded = -(counts ^ 0xFFFFFE)
    angle = np.deg2rad(folded / COUNTS_PER_DEGREE + ANGLE_OFFSET)
    theirs = -HC / (2 * D * np.sin(angle))

    found = energies(counts.astype(float), encoder(), {"angle_offset": "0.137"})

    assert ((found > 11000) & (found < 13000)).all()
    assert np.abs(found - theirs).max() < 0.007  # eV: two counts
    assert (theirs - found).mean() == pytest.approx(0.0033, abs=2e-4)  # one


def test_the_fold_is_exact():
    signed = -np.arange(3_400_000, 3_600_000, 997, dtype=float)
    facts = {"angle_offset": ANGLE_OFFSET}

    folded = energies(signed + 2**24, encoder(), facts)

    assert (folded == energies(signed, encoder(fold="none"), facts)).all()


def test_a_signed_count_is_left_as_it_is_by_the_fold():
    facts = {"angle_offset": ANGLE_OFFSET}
    counts = np.array([-3_512_344.0])

    assert energies(counts, encoder(), facts) == energies(
        counts, encoder(fold="none"), facts
    )


def test_the_law_takes_its_constants_from_the_documents():
    facts = {
        "pulses": ["26222.22"],
        "descriptor": {"mono": {"d": "3.1354951"}},
    }
    law = encoder(
        fold="none",
        sign=1.0,
        counts_per_degree=Quantity(("pulses",)),
        d_spacing=Quantity(("descriptor.mono.d",)),
        hc=12400.0,
        offset_deg=Quantity(),
    )

    found = energies(np.array([262222.2]), law, facts)

    assert found == pytest.approx(12400 / (2 * 3.1354951 * np.sin(np.deg2rad(10))))


@pytest.mark.parametrize("constant", ["counts_per_degree", "d_spacing"])
def test_a_law_without_its_constants_gives_no_energies(constant):
    law = encoder(**{constant: Quantity(("absent",))})

    assert np.isnan(energies(np.array([0.0, 1e6, -1e6]), law, {})).all()


def test_there_is_no_energy_where_nothing_is_reflected():
    law = encoder(fold="none", sign=1.0, offset_deg=Quantity())
    degrees = np.array([-10.0, 0.0, 180.5, 10.0])

    found = energies(degrees * COUNTS_PER_DEGREE, law, {})

    assert np.isnan(found).tolist() == [True, True, True, False]


@given(arrays(np.float64, st.integers(0, 20)), st.sampled_from(["none", "xor24"]))
def test_energies_are_positive_or_none_whatever_was_read(readings, fold):
    for offset in (-0.5, 0.0, 1e300):
        found = energies(readings, encoder(fold=fold), {"angle_offset": offset})

        assert found.shape == readings.shape
        assert (np.isnan(found) | ((found > 0) & np.isfinite(found))).all()
