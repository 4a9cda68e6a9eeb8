import gzip
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.errors import FileError, UsageError
from xasnn_stream.simulation.playback import playback, read_recording

HEADER = "# element: Pt\n# edge: L3\n# sample: Pt/C\n# columns: energy {}\n"
ENERGY = 11500.0 + np.array([0.0, 5.0, 4.0, 4.0, 9.0])


def _file(tmp_path, columns, *values, name="measured.csv"):
    rows = np.column_stack([ENERGY, *values])
    text = HEADER.format(columns) + "\n".join(
        ",".join(map(repr, r)) for r in rows.tolist()
    )
    path = tmp_path / name
    path.write_text(text)
    return path


def _columns(documents):
    data = [doc["data"] for name, doc in documents if name == "event"]
    return {key: np.array([row[key] for row in data]) for key in data[0]}


def test_measured_counts_travel_as_they_are(tmp_path, measure):
    i0, it = np.array([9.0, 8.5, 8.0, 7.5, 7.25]), np.array([3.0, 2.5, 2.0, 1.5, 1.25])
    documents = measure(playback(read_recording(_file(tmp_path, "i0 it", i0, it))))
    start, columns = documents[0][1], _columns(documents)

    assert (start["element"], start["edge"], start["sample"]) == ("Pt", "L3", "Pt/C")
    assert start["plan_name"] == "xas_step_scan"
    assert "dark" not in start
    # Steps backwards and repeated energies are the measurement's; nothing is sorted.
    assert columns["mono_energy"].tolist() == ENERGY.tolist()
    assert columns["i0"].tolist() == i0.tolist()
    assert columns["it"].tolist() == it.tolist()
    assert "ir" not in columns


def test_counts_are_made_from_mu_where_a_file_has_no_more(tmp_path, measure):
    mu, mu_ref = np.linspace(-1, 1, 5), np.linspace(0.2, 0.4, 5)
    recording = read_recording(_file(tmp_path, "mu mu_ref", mu, mu_ref))
    documents = measure(playback(recording))
    columns = _columns(documents)

    assert np.log(columns["i0"] / columns["it"]) == pytest.approx(mu)
    assert np.log(columns["it"] / columns["ir"]) == pytest.approx(mu_ref)
    assert "it = i0 exp(-mu)" in documents[0][1]["playback"]["made"]


def test_the_foil_channel_can_be_played_as_the_sample(tmp_path, measure):
    it, ir = np.linspace(5, 4, 5), np.linspace(3, 1, 5)
    path = _file(tmp_path, "i0 it ir", np.full(5, 9.0), it, ir)
    documents = measure(playback(read_recording(path, {"i0": "it", "it": "ir"})))
    columns = _columns(documents)

    assert columns["i0"].tolist() == it.tolist()
    assert columns["it"].tolist() == ir.tolist()
    assert "ir" not in columns


def test_gzipped_files_are_read(tmp_path):
    plain = _file(tmp_path, "i0 it", np.ones(5), np.ones(5))
    packed = tmp_path / "measured.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert read_recording(packed).energy_ev.tolist() == ENERGY.tolist()


@pytest.mark.parametrize(
    ("columns", "mapping", "message"),
    [
        ("i0 if", None, "needs channels i0 and it, may have ir; got .*'i0', 'if'"),
        ("i0 it", {"mu": "it"}, "needs channels i0 and it"),
        ("i0 it", {"i0": "i0", "it": "it", "iq": "i0"}, "needs channels i0 and it"),
    ],
)
def test_a_file_without_the_needed_columns_is_refused(
    tmp_path, columns, mapping, message
):
    path = _file(tmp_path, columns, np.ones(5), np.ones(5))

    with pytest.raises(UsageError, match=message):
        read_recording(path, mapping)


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    path = _file(tmp_path, "i0 it", np.ones(5), np.ones(5))

    with pytest.raises(
        FileError, match="no column 'ir'; it has the columns energy, i0"
    ):
        read_recording(path, {"i0": "it", "it": "ir"})


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("# columns: energy mu\nhello\n")

    with pytest.raises(FileError, match=r"notes\.txt holds no table of numbers"):
        read_recording(path)


def test_a_file_without_an_element_needs_one(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("# columns: energy mu\n1,2\n3,4\n")

    with pytest.raises(UsageError, match="no element and edge"):
        playback(read_recording(path))


@pytest.mark.measured
def test_a_measured_foil_played_as_the_sample_keeps_its_mu(measure):
    path = Path(__file__).parents[4] / "shared/xas-data/spectra/BMM_Pt-L3-PtRu.csv"
    mu_ref = np.loadtxt(path, delimiter=",")[:, 5]
    columns = _columns(
        measure(playback(read_recording(path, {"i0": "it", "it": "ir"})))
    )

    # The file states mu_ref to eight digits.
    assert np.log(columns["i0"] / columns["it"]) == pytest.approx(mu_ref, abs=1e-6)
