"""Column text as beamlines write it."""

import gzip

import numpy as np
import pytest

from xasnn_stream.errors import FileError


@pytest.mark.parametrize(
    ("separator", "decimal"),
    [
        (" ", "."),
        ("\t", "."),
        (",", "."),
        (", ", "."),
        (";", "."),
        (";", ","),
        ("\t", ","),
        ("  ", ","),
    ],
    ids=repr,
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_separators_decimal_signs_and_line_ends_are_told_apart(
    scans, made, separator, decimal, end
):
    head = separator.join(("Energy", "I0", "It")) + "\n"
    numbers = made.rows(made.i0, made.it, separator="|").replace(".", decimal)
    body = numbers.replace("|", separator)
    (scan,) = scans((head + body).replace("\n", end))
    np.testing.assert_allclose(scan.energy_ev, made.energy)
    np.testing.assert_allclose(scan.channels["it"], made.it, rtol=1e-8)
    assert scan.left_out == 0


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "latin-1", "utf-16"], ids=lambda encoding: encoding
)
def test_headers_in_any_encoding_are_read(scans, made, encoding):
    text = "# Öfen bei 300 °C, µ\n# energy mu\n" + made.rows(made.mu)
    (scan,) = scans(text.encode(encoding))
    np.testing.assert_allclose(scan.channels["mu"], made.mu, rtol=1e-8)


def test_exponents_of_fortran_are_numbers(scans, made):
    rows = made.rows(made.mu * 10).splitlines()
    text = "ENERGY MU\n" + "\n".join(row + "D-01" for row in rows)
    (scan,) = scans(text)
    np.testing.assert_allclose(scan.channels["mu"], made.mu, rtol=1e-8)


def test_a_gzipped_file_is_the_same_file(scans, made):
    text = "energy mu\n" + made.rows(made.mu)
    (packed,) = scans(gzip.compress(text.encode()), name="scan.dat.gz")
    (plain,) = scans(text)
    np.testing.assert_array_equal(packed.energy_ev, plain.energy_ev)


def test_a_row_that_broke_off_is_left_out_and_counted(scans, made):
    text = "energy,i0,it\n" + made.rows(made.i0, made.it, separator=",")
    (scan,) = scans(text.rstrip()[: text.rstrip().rindex(",")])
    assert len(scan.energy_ev) == len(made.energy) - 1
    assert scan.left_out == 1
    assert scan.notes == ("1 row without 3 numbers left out",)


def test_missing_and_infinite_numbers_stay_for_the_engine_to_judge(scans, made):
    rows = made.rows(made.mu, separator=",").splitlines()
    rows[3] = rows[3].partition(",")[0] + ",nan"
    rows[4] = rows[4].partition(",")[0] + ","
    (scan,) = scans("energy,mu\n" + "\n".join(rows))
    assert np.flatnonzero(np.isnan(scan.channels["mu"])).tolist() == [3]
    assert scan.left_out == 1


def test_numbers_within_the_header_are_not_the_table(scans, made):
    ssrl = "Offsets:\n0.0 0.0 0.0\nWeights:\n1 1 1\nData:\nRequested Energy\nI0\nI1\n\n"
    (scan,) = scans(ssrl + made.rows(made.i0, made.it))
    np.testing.assert_allclose(scan.energy_ev, made.energy)
    np.testing.assert_allclose(scan.channels["it"], made.it, rtol=1e-8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (b"\x00" * 100, "is empty"),
        (bytes(range(256)) * 20, "is binary"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is binary"),
        (b"\x1f\x8b" + b"x" * 50, "truncated or damaged gzip"),
        (gzip.compress(b"1 2\n" * 5000, mtime=0)[:-20], "truncated or damaged gzip"),
        (b"PK\x03\x04" + b"x" * 50, "zip archive or a spreadsheet"),
        (b"Dear user,\nno data here.\n" * 30, "no table of numbers"),
        (b"energy,mu\n11564,1.0\n", "no table of numbers"),
        (b"energy mu\n" + b"1 2\n3 x\n" * 30, "30 of 60 rows are not 2 numbers"),
        (b"# columns: energy mu it\n" + b"1 2\n" * 30, "names 3 columns, .* have 2"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(scans, content, message):
    with pytest.raises(FileError, match=message) as refused:
        scans(content)
    assert len(str(refused.value).splitlines()) == 1


def test_a_folder_and_a_file_that_is_not_there_are_refused(tmp_path):
    from xasnn_stream.files.read import read_scans

    with pytest.raises(FileError, match="is a folder"):
        read_scans(tmp_path)
    with pytest.raises(FileError, match="cannot be read: No such file"):
        read_scans(tmp_path / "none.dat")
