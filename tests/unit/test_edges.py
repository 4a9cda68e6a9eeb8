import pytest
import xraydb

from xasnn_stream.edges import EDGES, ELEMENTS, edge_energy_ev


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
