"""Element, edge and signal of a scan: told, said by the header, or seen."""

import numpy as np
import pytest

from xasnn_stream.analysis.absorption import choose_mode, steepest_rise
from xasnn_stream.analysis.shipped_models import model_for, shipped_models
from xasnn_stream.analysis.which_edge import edge_of, told_edge
from xasnn_stream.errors import UsageError
from xasnn_stream.files.scan import Scan
from xasnn_stream.files.table import Facts

NOBODY = (None, None)


def edge_scan(at, *, low=200.0, high=300.0, noise=0.0, facts=None, **channels):
    """A scan with an edge at an energy; `channels` replace its absorption."""
    energy = np.arange(at - low, at + high, 2.0)
    rng = np.random.default_rng(1)
    mu = 0.5 - 3e-4 * (energy - at) + np.arctan((energy - at) / 2) / np.pi
    mu += noise * rng.normal(size=len(energy))
    return Scan("", energy, channels or {"mu": mu}, {}, facts or Facts())


def found(scan, told=NOBODY, models=None):
    models = shipped_models() if models is None else models
    edge = edge_of(scan, "transmission", told, models)
    return edge.element, edge.edge, edge.note


def test_the_header_is_believed_and_the_command_line_first():
    scan = edge_scan(11564.0, facts=Facts(element="Pt", edge="L3"))
    assert found(scan) == ("Pt", "L3", "")
    assert found(scan, ("Au", "L3")) == ("Au", "L3", "")


@pytest.mark.parametrize(
    ("at", "expected"),
    [(11562.0, ("Pt", "L3")), (7116.0, ("Fe", "K")), (10535.0, ("Re", "L3"))],
)
def test_the_steepest_rise_tells_the_edge(at, expected):
    element, edge, note = found(edge_scan(at, noise=0.01))
    assert (element, edge) == expected
    assert "guessed from the steepest rise" in note


def test_the_headers_edge_energy_comes_before_the_rise():
    # Of Pt and Re in one sample the scan was planned about Re.
    scan = edge_scan(10600.0, facts=Facts(e0_ev=10535.0))
    assert found(scan)[:2] == ("Re", "L3")
    assert "the header's edge energy" in found(scan)[2]


def test_two_usual_edges_at_one_energy_are_asked_for():
    scan = edge_scan(12658.0)  # Se K and Tl L3
    with pytest.raises(UsageError, match=r"Se K, Tl L3\); give --element and --edge"):
        found(scan)
    assert found(scan, ("Se", None))[:2] == ("Se", "K")


def test_an_edge_must_have_room_on_both_sides():
    with pytest.raises(UsageError, match="no edge with 30 eV before and 60 eV above"):
        found(edge_scan(11564.0, low=20.0, high=40.0))
    with pytest.raises(UsageError, match="no tabulated edge"):
        found(edge_scan(11000.0))


def test_what_is_told_must_exist():
    assert told_edge("pt", "LIII") == ("Pt", "L3")
    for element, edge, message in (
        ("Xx", None, "no element"),
        (None, "M5", "known are K, L1, L2 and L3"),
    ):
        with pytest.raises(UsageError, match=message):
            told_edge(element, edge)


def test_an_edge_without_a_model_says_what_is_shipped():
    assert model_for("Pt", "L3").name == "pt-l3-xanes"
    message = r"no model for Fe K; shipped: Au L3 \(au-l3-xanes\), "
    with pytest.raises(UsageError, match=message):
        model_for("Fe", "K")


def test_the_rise_is_found_in_noise_and_not_at_the_ends():
    scan = edge_scan(11564.0, noise=0.05)
    mu = scan.channels["mu"].copy()
    mu[:3] += [5.0, 0.0, 5.0]
    at, clarity = steepest_rise(scan.energy_ev, mu)
    assert at == pytest.approx(11564.0, abs=6.0)
    assert 2 < clarity < 100


def test_the_signal_is_the_headers_else_the_only_else_the_clearer():
    plain = edge_scan(11564.0)
    step = plain.channels["mu"]
    rng = np.random.default_rng(2)
    i0 = np.full_like(step, 1e6)
    dark = np.abs(rng.normal(5, 1, len(step)))  # nothing comes through the sample
    both = {"i0": i0, "it": dark, "if": 1e3 * step}
    assert choose_mode(edge_scan(11564.0, **both))[0] == "fluorescence"
    clear = {"i0": i0, "it": i0 * np.exp(-step), "if": dark}
    mode, note = choose_mode(edge_scan(11564.0, **clear))
    assert (mode, "--mode" in note) == ("transmission", True)
    only = {"i0": i0, "if": 1e3 * step}
    assert choose_mode(edge_scan(11564.0, **only)) == ("fluorescence", "")
    said = edge_scan(11564.0, facts=Facts(mode="fluorescence"), **clear)
    assert choose_mode(said) == ("fluorescence", "")
