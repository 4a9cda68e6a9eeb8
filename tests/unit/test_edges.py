import pytest
import xraydb

from xasnn_stream.edges import (
    EDGES,
    ELEMENTS,
    edge_energy_ev,
    edge_window,
    next_edge_ev,
    other_edges_ev,
)


@pytest.mark.parametrize("element", ELEMENTS)
def test_the_table_is_xraydb_s(element):
    tabulated = xraydb.xray_edges(element)
    for edge in EDGES:
        energy_ev = edge_energy_ev(element, edge)
        if edge in tabulated and tabulated[edge].energy > 0:
            assert energy_ev == tabulated[edge].energy
        else:
            assert energy_ev is None


def test_what_is_not_tabulated_is_none():
    assert edge_energy_ev("Xx", "K") is None
    assert edge_energy_ev("Pt", "M5") is None


@pytest.mark.parametrize(
    ("element", "edge", "others", "energy_ev"),
    [
        ("Pt", "L3", (), 13273.0),
        ("Pt", "L3", ("Au",), 11919.0),
        ("Pt", "L3", ("Zr", "Si"), 13273.0),
        ("Ni", "K", ("Cu", "Zn"), 8979.0),
        ("Cu", "K", ("Ni",), None),
        ("Cu", "K", ("Xx",), None),
        ("Pt", "L1", ("Pt",), 78395.0),
        ("Pt", "M5", ("Au",), None),
    ],
)
def test_the_next_edge_is_the_lowest_above_of_any_element(
    element, edge, others, energy_ev
):
    assert next_edge_ev(element, edge, others) == energy_ev


def test_other_edges_are_those_of_all_elements_but_the_one_measured():
    assert other_edges_ev(8333.0, ("Ni", "Ni")) == [852.7, 870.0, 1008.6]
    assert other_edges_ev(None, ("Li", "Xx", "Be")) == [3.0, 5.3, 8.0, 54.7, 111.5]


def test_the_window_holds_what_oxides_and_beamlines_do_to_an_edge():
    low, high = edge_window(7709.0)
    # Co3O4's derivative is greatest 19.6 eV above Co's edge; axes are 5.5 eV off.
    assert low < 7709 - 5.5
    assert high > 7709 + 19.6
