"""Compositions as people write them."""

import pytest

from xasnn_stream.bimetallic.composition import read_composition
from xasnn_stream.errors import UsageError


@pytest.mark.parametrize(
    ("text", "gold"),
    [("Pd0.4Au0.6", 0.6), ("Au60Pd40", 0.6), ("PdAu3", 0.75), ("PdAu0", 0.0)],
)
def test_shares_are_of_atoms_and_add_up(text, gold):
    found = read_composition(text, ("Pd", "Au"))
    assert list(found) == ["Pd", "Au"]
    assert found["Au"] == pytest.approx(gold)
    assert sum(found.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "text", ["", "Pd", "PdPt", "PdAuAu", "Pd-1Au2", "Pd0Au0", "0.4", "Pd0.4 Au0.6", "PdAux"]
)  # fmt: skip
def test_what_is_no_composition_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"as Pd0\.4Au0\.6$"):
        read_composition(text, ("Pd", "Au"))
