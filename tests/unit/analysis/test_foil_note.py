"""A foil with a glitch is used without it, and every result says so."""

import numpy as np

from xasnn_stream.engine.foil import read_foil


def test_a_glitch_in_the_foil_is_a_note(run, examples):
    good = read_foil(str(examples / "foil.dat"))
    place = int(abs(good.energy_ev - 11604.0).argmin())
    mu = good.mu + 0.3 * (np.arange(len(good.mu)) == place)
    spoilt = examples / "spoilt.csv"
    table = np.column_stack([good.energy_ev, mu])
    np.savetxt(spoilt, table, delimiter=",", header="energy,mu", comments="")
    (clean,) = run(examples / "particles.xdi", foil=examples / "foil.dat")
    (found,) = run(examples / "particles.xdi", foil=spoilt)
    assert not [note for note in clean.notes if "foil" in note]
    (note,) = [note for note in found.notes if "foil" in note]
    assert note.startswith("foil spoilt.csv: 1 point off its curve left out, at 1160")
    one, other = (each.estimate.descriptors["cn1"] for each in (clean, found))
    assert abs(other.value - one.value) < 0.2 * one.std
