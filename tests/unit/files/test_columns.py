"""Which column is which, and what the header says."""

import numpy as np
import pytest

from xasnn_stream.errors import FileError
from xasnn_stream.files.header import facts_of_lines
from xasnn_stream.files.roles import columns_by_role

HC_EV_A = 12398.419843320026


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["energy", "mu"], {"energy": "energy", "mu": "mu"}),
        (["Energy", "I0", "I"], {"energy": "Energy", "i0": "I0", "it": "I"}),
        (["E(eV)", "xmu"], {"energy": "E(eV)", "mu": "xmu"}),
        (["e_ev", "mt_Step"], {"energy": "e_ev", "mu": "mt_Step"}),
        (
            ["energy", "requested_energy", "xmu", "I0", "It", "Ir"],
            {"energy": "energy", "mu": "xmu", "i0": "I0", "it": "It", "ir": "Ir"},
        ),
        (
            ["Mono Energy *", "Preslit", "IO", "IT", "IRef", "Ifluor"],
            {
                "energy": "Mono Energy *",
                "i0": "IO",
                "it": "IT",
                "ir": "IRef",
                "if": "Ifluor",
            },
        ),
        (
            ["Energy Setting", "$(EnergyFeedback)", "$(EnergyAchieved)", "I0", "I1"],
            {"energy": "$(EnergyAchieved)", "i0": "I0", "it": "I1"},
        ),
        (
            ["qexafs_energy", "I0", "It", "Iref", "lnI0It", "lnItIref"],
            {
                "energy": "qexafs_energy",
                "i0": "I0",
                "it": "It",
                "ir": "Iref",
                "mu": "lnI0It",
                "mu_reference": "lnItIref",
            },
        ),
        (["energy", "flat", "norm", "nbkg"], {"energy": "energy", "mu": "norm"}),
        (["k", "chi"], {}),
    ],
)
def test_names_of_beamlines_are_known(names, expected):
    assert columns_by_role(names) == expected


@pytest.mark.parametrize(
    "head",
    [
        "# columns: energy i0 it\n",
        "# XDI/1.0\n# Column.1: energy eV\n# Column.2: i0\n# Column.3: itrans\n#---\n",
        "#  1) Mono Energy *   2) I0\n#  3) I1\n# Column Headings:\n",
        "Energy (eV)  I0 (cts)  I1 (cts)\n",
        "energy i0 it\neV counts counts\n",
        '"Energy" "I0" "It"\n',
        "XDAC V1.4 Datafile V1\nE0= 11564\n-----\n     Energy      I0      It\n",
        "# column 1: x\n# column 1: Energy M:fbk\n# column 2: I0 M:1\n# column 3: It M:2\n",
    ],
)
def test_names_are_found_wherever_the_header_has_them(scans, made, head):
    (scan,) = scans(head + made.rows(made.i0, made.it))
    np.testing.assert_allclose(scan.energy_ev, made.energy)
    np.testing.assert_allclose(scan.channels["i0"], made.i0, rtol=1e-8)
    np.testing.assert_allclose(scan.channels["it"], made.it, rtol=1e-8)


def test_names_with_blanks_are_cut_at_equal_widths(scans, made):
    names = ("Mono Energy *", "Scaler preset time *", "IO", "IT")
    head = "# Column Headings:\n#" + "".join(f"{name:<21}" for name in names) + "\n"
    (scan,) = scans(head + made.rows(made.i0 * 0 + 1, made.i0, made.it))
    np.testing.assert_allclose(scan.channels["it"], made.it, rtol=1e-8)


def test_two_columns_without_names_are_energy_and_absorption(scans, made):
    (scan,) = scans("Pt foil\n" + made.rows(made.mu))
    np.testing.assert_allclose(scan.channels["mu"], made.mu, rtol=1e-8)
    assert scan.notes == ("columns have no names: taken as energy and mu",)


def test_more_columns_without_names_must_be_named(scans, made):
    text = made.rows(made.i0, made.it)
    with pytest.raises(FileError, match=r"has 3 columns; .* --columns energy=1,i0=2"):
        scans(text)
    (scan,) = scans(text, columns={"energy": "1", "i0": "2", "it": "3"})
    np.testing.assert_allclose(scan.channels["it"], made.it, rtol=1e-8)


def test_columns_can_be_named_summed_and_numbered(scans, made):
    text = "energy mon a b\n" + made.rows(made.i0, made.it, 2 * made.it)
    (scan,) = scans(text, columns={"i0": "MON", "if": "a+4"})
    np.testing.assert_allclose(scan.channels["if"], 3 * made.it, rtol=1e-8)
    assert set(scan.channels) == {"i0", "if"}
    with pytest.raises(
        FileError, match="no column 'c'; it has the columns energy, mon"
    ):
        scans(text, columns={"i0": "mon", "if": "c"})


def test_what_cannot_be_told_is_asked_for_with_the_names_there_are(scans, made):
    with pytest.raises(FileError, match=r"no absorption .* columns energy, ch1, ch2"):
        scans("energy ch1 ch2\n" + made.rows(made.i0, made.it))
    with pytest.raises(FileError, match=r"no energy .* columns k, chi, chik"):
        scans("#  k chi chik\n" + made.rows(made.i0, made.it))


def test_samples_side_by_side_are_scans_of_their_own(scans, made):
    head = "Energy I0 I02 It1 It2 Iref\n"
    text = head + made.rows(made.i0, 2 * made.i0, made.it, made.it / 2, made.it / 4)
    first, second = scans(text)
    assert (first.name, second.name) == ("1", "2")
    np.testing.assert_allclose(
        first.channels["i0"] / first.channels["it"], np.exp(made.mu)
    )
    np.testing.assert_allclose(
        second.channels["i0"] / second.channels["it"], 4 * np.exp(made.mu)
    )


def test_the_elements_of_a_detector_are_summed(scans, made):
    text = "Energy I0 Ifch1 Ifch2 Ifslow1 Ifslow2\n"
    parts = (made.it, 2 * made.it, made.i0, made.i0)
    (scan,) = scans(text + made.rows(made.i0, *parts))
    np.testing.assert_allclose(scan.channels["if"], 3 * made.it, rtol=1e-8)
    assert scan.notes == ("fluorescence is Ifch1 + Ifch2, as given",)


def test_the_line_of_the_element_scanned_is_the_fluorescence(scans, made):
    # Of Pt and Cu only Pt has an edge between the energies of the scan.
    text = "energy I0 DXP:Cu_Sum DXP:Pt_Sum\n"
    (scan,) = scans(text + made.rows(made.i0, made.i0, made.it))
    np.testing.assert_allclose(scan.channels["if"], made.it, rtol=1e-8)


def test_the_sample_in_the_foils_place_is_read_behind_it(scans, made):
    head = "# Scan.plot_hint: ln(It/Ir)  --  ln($3/$4)\n# energy I0 It Ir\n"
    (scan,) = scans(head + made.rows(made.i0 * 2, made.i0, made.it))
    np.testing.assert_allclose(scan.channels["i0"], made.i0, rtol=1e-8)
    np.testing.assert_allclose(scan.channels["it"], made.it, rtol=1e-8)
    assert "ln(It/Ir)" in scan.notes[0]


@pytest.mark.parametrize("name", ["energy_keV", "Energy(keV)", "energy"])
def test_kev_become_ev_and_a_note_says_so(scans, made, name):
    rows = made.rows(made.mu).splitlines()
    text = "\n".join(f"{float(row.split()[0]) / 1000} {row.split()[1]}" for row in rows)
    (scan,) = scans(f"{name} mu\n{text}")
    np.testing.assert_allclose(scan.energy_ev, made.energy)
    assert scan.notes == ("energies were given in keV",)


def test_angles_become_energies_by_the_header_s_spacing(scans, made):
    angle = np.degrees(np.arcsin(HC_EV_A / (2 * 3.1356 * made.energy)))
    rows = "\n".join(f"{a:.12g} {m:.9g}" for a, m in zip(angle, made.mu, strict=True))
    head = "# Column.1: angle degrees\n# Column.2: mutrans\n"
    (scan,) = scans(f"# Mono.d_spacing: 3.1356\n{head}#---\n{rows}")
    np.testing.assert_allclose(scan.energy_ev, made.energy, rtol=1e-9)
    with pytest.raises(FileError, match=r"is an angle, .* no Mono\.d_spacing"):
        scans(f"{head}#---\n{rows}")


def test_counters_of_the_photon_factory_have_modes(scans, made):
    angle = np.degrees(np.arcsin(HC_EV_A / (2 * 3.13551 * made.energy)))
    head = (
        "  9809     KEK-PF   BL9A\n Mono :  SI(111)       D= 3.13551 A\n"
        "  Angle(c)  Angle(o)    time/s         2         3\n"
        "      Mode         0         0         1         2\n"
        "    Offset         0         0    10.000     5.000\n"
    )
    rows = zip(angle - 1e-3, angle, made.i0, made.it, strict=True)
    text = "\n".join(f"{c:.12g} {o:.12g} 1.0 {x:.9g} {y:.9g}" for c, o, x, y in rows)
    (scan,) = scans(head + text)
    np.testing.assert_allclose(scan.energy_ev, made.energy, rtol=1e-9)
    np.testing.assert_allclose(scan.channels["it"], made.it, rtol=1e-8)


def test_pixels_are_not_taken_for_energies(scans):
    rows = "".join(f"{n} , {1.2 + 0.001 * n}\n" for n in range(1, 101))
    with pytest.raises(FileError, match=r"counts points or pixels from 1 to 100"):
        scans(", 0\n" + rows)


def test_order_and_repeated_energies_stay_as_measured(scans, made):
    (scan,) = scans(
        "energy mu\n" + "".join(reversed(made.rows(made.mu).splitlines(True)))
    )
    np.testing.assert_allclose(scan.energy_ev, made.energy[::-1])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("# Element.symbol: pt", {"element": "Pt"}),
        ("# .  Element=Au   Edge=L3", {"element": "Au", "edge": "L3"}),
        ("# element: Unobtainium", {}),
        ("# Element.edge: LIII", {"edge": "L3"}),
        ("E0= 5989.00", {"e0_ev": 5989.0}),
        ("# Sample.temperature: 10 K", {"temperature_k": 10.0}),
        ("# temperature: 27 C", {"temperature_k": 300.15}),
        ("# temperature: room", {}),
        ("# mode: fluorescence (4 channels)", {"mode": "fluorescence"}),
        ("# Scan.plot_hint: (DTC1+DTC2)/I0", {"mode": "fluorescence"}),
        ("# Scan.start_time: 2001-06-27T04:10:45", {"start": 993615045.0}),
        ("#D Sat Feb 25 09:53:52 2023", {"start": 1677318832.0}),
        (
            '"mo.002" created on 11/20/03 at 10:12:36 AM on X-11B',
            {"start": 1069323156.0},
        ),
    ],
)
def test_facts_are_read_from_any_dialect(line, expected):
    facts = facts_of_lines([line])
    said = {
        name: getattr(facts, name)
        for name in facts.__slots__
        if getattr(facts, name) is not None
    }
    assert said == pytest.approx(expected)
