"""A glitch in the deployed foil would be in every difference: it is left out, and said."""

import dataclasses

import numpy as np
import pytest

from xasnn_stream.engine.settings import Cleaning

from .conftest import E0


@pytest.fixture
def spoilt(foil):
    """The foil with one point 0.3 steps high where the model reads, and that energy."""
    place = int(abs(foil.energy_ev - E0 - 40).argmin())
    mu = foil.mu + 0.3 * (np.arange(len(foil.mu)) == place)
    return dataclasses.replace(foil, mu=mu), foil.energy_ev[place]


def cn1(engine, sweep):
    (found,) = engine.estimate([sweep()])
    assert found.provenance.reference_sha256 == "f" * 64
    return found.descriptors["cn1"]


def test_a_glitch_of_the_foil_is_left_out_and_said(load, engine, spoilt, sweep):
    foil, at = spoilt
    mended = load(foil)
    assert mended.foil_note == (
        f"foil foil.csv: 1 point off its curve left out, at {at:.1f} eV"
    )
    clean, found = cn1(engine, sweep), cn1(mended, sweep)
    assert abs(found.value - clean.value) < 0.2 * clean.std


def test_it_stays_where_the_profile_says_so_and_is_said(load, engine, spoilt, sweep):
    foil, at = spoilt
    kept = load(foil, cleaning=Cleaning(deglitch=False))
    assert "not left out" in kept.foil_note
    assert f"{at:.1f} eV" in kept.foil_note
    clean, found = cn1(engine, sweep), cn1(kept, sweep)
    assert abs(found.value - clean.value) > 0.2 * clean.std


def test_nothing_is_said_of_a_good_foil(engine):
    assert engine.foil_note == ""
