"""Reading a foil from the files beamlines write."""

import numpy as np
import pytest

from xasnn_stream.engine.foil import read_foil
from xasnn_stream.errors import FoilError

ENERGY = np.arange(11500.0, 11530.0)
MU = 0.5 + 0.01 * (ENERGY - 11500)
ROWS = [f"{e:.1f} {m:.6f}" for e, m in zip(ENERGY, MU, strict=True)]


@pytest.fixture
def write(tmp_path):
    """A function that writes lines to a file and returns its path."""

    def write(*lines: str, name: str = "foil.dat") -> str:
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return str(tmp_path / name)

    return write


XDI = [
    "# XDI/1.0 GSE/1.0",
    "# Column.1: energy eV",
    "# Column.2: mutrans",
    "# Element.symbol: Pt",
    "# ///",
    "# Pt foil, room temperature",
    "#----",
    "# energy mutrans",
]


@pytest.mark.parametrize(
    "lines",
    [
        [*XDI, *ROWS],
        ["# a note", "# columns: energy mu", *ROWS],
        ["# columns: Energy, MU", *(row.replace(" ", ",") for row in ROWS)],
        ["# something", "# energy xmu", *ROWS],
        ["energy,mu", *(row.replace(" ", ",") for row in ROWS)],
        ["energy_ev mu_ref", "", *ROWS],
        ["# columns: energy mu", *reversed(ROWS)],
    ],
    ids=["XDI", "columns", "CSV", "last comment", "header", "mu_ref", "descending"],
)
def test_a_foil_is_the_same_in_every_form(write, lines):
    foil = read_foil(write(*lines))
    np.testing.assert_array_equal(foil.energy_ev, ENERGY)
    np.testing.assert_allclose(foil.mu, MU, atol=1e-12)
    assert foil.sha256 == read_foil(write("energy mu", *ROWS, name="b.dat")).sha256
    assert foil.name == "foil.dat"


def test_absorption_comes_from_counts_where_there_is_no_column(write):
    rows = [f"{e} 1e6 {1e6 * np.exp(-m):.9e}" for e, m in zip(ENERGY, MU, strict=True)]
    foil = read_foil(write("# columns: energy i0 it", *rows))
    np.testing.assert_allclose(foil.mu, MU, atol=1e-8)


def test_a_column_can_be_named_after_the_path(write):
    rows = [f"{row} {2 * m}" for row, m in zip(ROWS, MU, strict=True)]
    path = write("# columns: energy mu mu_ref", *rows)
    foil = read_foil(f"{path}#mu_ref")
    np.testing.assert_allclose(foil.mu, 2 * MU)
    assert foil.name == "foil.dat#mu_ref"
    assert foil.sha256 != read_foil(path).sha256


def test_a_column_that_is_all_there_is_can_be_named(write):
    alone = write("# columns: energy mu_ref", *ROWS)
    np.testing.assert_allclose(read_foil(f"{alone}#mu_ref").mu, MU)


def test_points_without_a_number_are_left_out_and_equal_energies_averaged(write):
    rows = [*ROWS, "11540 nan", "nan 1.0", f"{ENERGY[3]} {MU[3] + 0.2}"]
    foil = read_foil(write("# columns: energy mu", *rows))
    np.testing.assert_array_equal(foil.energy_ev, ENERGY)
    assert foil.mu[3] == pytest.approx(MU[3] + 0.1)


def test_dead_counts_are_left_out(write):
    rows = [f"{e} 1e6 {0 if k == 5 else 5e5}" for k, e in enumerate(ENERGY)]
    foil = read_foil(write("# columns: energy i0 it", *rows))
    assert len(foil.energy_ev) == len(ENERGY) - 1


@pytest.mark.parametrize(
    ("lines", "suffix", "message"),
    [
        (["# columns: energy mu", *ROWS], "#mu_ref", "no column 'mu_ref'"),
        (
            ["# columns: energy mu", *ROWS],
            "#it",
            "no column 'it'; it has .* energy, mu",
        ),
        (["# columns: q mu", *ROWS], "", "no energy among its columns"),
        (["# columns: energy i0", *ROWS], "", "no absorption"),
        (["# columns: energy mu", *ROWS[:19]], "", "only 19 usable points"),
        (["# columns: energy mu it", *ROWS], "", "names 3 columns, .* rows have 2"),
        (["# columns: energy mu", *ROWS, *["11541 much"] * 9], "", "9 of 39 rows"),
        (["notes"], "", "no table of numbers"),
        ([], "", "is empty"),
    ],
)
def test_what_is_no_foil_is_refused_with_the_reason(write, lines, suffix, message):
    with pytest.raises(FoilError, match=message):
        read_foil(write(*lines) + suffix)


@pytest.mark.parametrize("suffix", ["", "#nope"])
def test_what_to_do_about_a_foil_s_columns_is_what_a_foil_takes(write, suffix):
    with pytest.raises(FoilError, match="FILE#column") as refusal:
        read_foil(
            write("# columns: energy a b", *(f"{row} 1" for row in ROWS)) + suffix
        )
    assert "it has the columns energy, a, b;" in str(refusal.value)
    assert "--columns" not in str(refusal.value)


def test_a_broken_last_row_is_left_out(write):
    whole = read_foil(write("# columns: energy mu", *ROWS))
    cut = read_foil(write("# columns: energy mu", *ROWS, "11541", name="cut.dat"))
    assert cut.sha256 == whole.sha256


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(FoilError, match="cannot be read"):
        read_foil(str(tmp_path / "none.dat"))
    (tmp_path / "binary.dat").write_bytes(b"\x01\xfe\x00\x81" * 100)
    with pytest.raises(FoilError, match="is binary"):
        read_foil(str(tmp_path / "binary.dat"))


def test_the_reference_channel_of_a_scan_can_be_the_foil(write):
    counts = 1e6 * np.exp(-np.stack([0 * MU, 0.5 * MU, 1.5 * MU]))
    rows = [
        f"{e} {a:.9e} {b:.9e} {c:.9e}"
        for e, (a, b, c) in zip(ENERGY, counts.T, strict=True)
    ]
    foil = read_foil(write("# columns: energy i0 it ir", *rows) + "#mu_ref")
    np.testing.assert_allclose(foil.mu, MU, atol=1e-8)


def test_one_of_several_scans_is_named_after_the_path(write):
    spec = []
    for number, factor in ((1, 1.0), (2, 2.0)):
        spec += [f"#S {number} ascan energy", "#N 2", "#L energy  mu"]
        spec += [f"{e} {factor * m}" for e, m in zip(ENERGY, MU, strict=True)]
    path = write(*spec)
    np.testing.assert_allclose(read_foil(f"{path}#2").mu, 2 * MU)
    with pytest.raises(FoilError, match=r"holds 2 scans; name one, as .*#1, 2"):
        read_foil(path)
