"""Every decoder keeps the same promises, whatever it reads."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xasnn_stream.assembly.decoders import DECODERS, NotReady, Undecodable
from xasnn_stream.assembly.decoders.decoder import MAX_BYTES
from xasnn_stream.assembly.decoders.hdf5 import ATTRIBUTES

ROWS = 40
TICK_S = 8.0051232e-9
LIES = [
    {"shape": [-1, -1]},
    {"shape": [10**12]},
    {"shape": None, "dtype_numpy": "V999999999999"},
    {"shape": [None, {}], "dtype_numpy": [[], {}, 3], "dtype_descr": "x"},
]
ARRAYS = [np.zeros((0, 4)), np.arange(3)]  # documents may hold them anywhere
STRANGE = [None, -1, 10**30, float("nan"), "../../x", "\0", [], {}, True, b"x", *ARRAYS]
WORDS = [
    *("dataset", "path", "key", "chunk_num", "chunk_size", "channel", "roi_num"),
    "data_type",
]


@dataclass(frozen=True)
class Format:
    """How a file is written, and the columns that must come out of it."""

    names: tuple[str, ...]
    write: Callable[[Path], Mapping[str, Any]]
    data_key: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lines: bool = False


def numbers(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-(10**6), 10**6, (rows, columns))


def electrometer(path):
    rows = np.column_stack([numbers(ROWS, 8), np.full(ROWS, 1_700_000_000)])
    rows = np.column_stack([rows, np.arange(ROWS) * 125_000]).astype("<i4")
    path.write_bytes(rows.tobytes())
    channels = ("i0", "it", "ir", "iff", "aux1", "aux2", "aux3", "aux4")
    times = 1_700_000_000 + np.arange(ROWS) * 125_000 * TICK_S
    return {"timestamp": times} | {n: rows[:, i] for i, n in enumerate(channels)}


def trigger(path):
    rows = np.column_stack(
        [np.arange(ROWS) % 2, np.full(ROWS, 1_700_000_000), np.arange(ROWS) * 1000]
    ).astype("<i4")
    path.write_bytes(rows.tobytes())
    times = 1_700_000_000 + np.arange(ROWS) * 1000 * TICK_S
    return {"timestamp": times, "transition": rows[:, 0]}


def lines(separator: str, names: tuple[str, ...] | None, end: str = "\n"):
    def write(path):
        rows = numbers(ROWS, 5)
        texts = [separator.join(map(str, row)) for row in rows]
        path.write_text("\n".join(texts) + end)
        return {"": rows} if names is None else dict(zip(names, rows.T, strict=True))

    return write


def converter(path):
    """18-bit readings: 1, -1 and the extremes, in volts of 20 V / 2^18."""
    counts = np.resize([1, 0x3FFFF, 0x1FFFF, 0x20000], ROWS)
    times = np.arange(ROWS)
    texts = [
        f"{t} {t * 7} {t} {c << 8:08x}" for t, c in zip(times, counts, strict=True)
    ]
    path.write_text("\n".join(texts) + "\n")
    volts = np.resize([1, -1, 131071, -131072], ROWS) * 20 / 2**18
    return {"ts_s": times, "ts_ns": times * 7, "index": times, "adc": volts}


def hdf5(datasets: Mapping[str, Any], columns: Mapping[str, Any]):
    def write(path):
        with h5py.File(path, "w") as file:
            for name, values in datasets.items():
                file[name] = values
        return columns

    return write


COUNTS = np.arange(ROWS) * 3.0
RECORDS = np.rec.fromarrays([COUNTS, numbers(ROWS, 1)[:, 0]], names=["t", "count"])
ROIS = {f"{ATTRIBUTES}/CHAN{c}ROI1": COUNTS + c for c in (1, 2, 3, 4)}
ENCODER = ("ts_s", "ts_ns", "encoder", "index", "state")
STRUCT = {"dtype_numpy": [[name, "<i8"] for name in ENCODER], "shape": [100_000]}
APB = {"dtype_descr": [["timestamp", "<f8"], ["i0", "<i4"]], "shape": [100_000]}
PULSES = {"dtype_descr": [["timestamp", "<f8"], ["transition", "<i4"]]}

FORMATS = {
    "electrometer": Format(("apb", "APB"), electrometer),
    "trigger": Format(("apb_trigger", "APB_TRIGGER"), trigger),
    "binary electrometer": Format(
        ("pizzabox_binary", "application/x-pizzabox-binary"), electrometer, APB
    ),
    "binary trigger": Format(("pizzabox_binary",), trigger, PULSES),
    "encoder": Format(
        ("pizzabox_encoder", "PIZZABOX_ENC_FILE_TXT", "PIZZABOX_ENC_FILE_TXT_PD"),
        lines(" ", ENCODER),
        lines=True,
    ),
    "encoder without a last newline": Format(
        ("pizzabox_encoder",), lines("\t", ENCODER, ""), lines=True
    ),
    "adc": Format(
        ("pizzabox_adc", "PIZZABOX_AN_FILE_TXT", "PIZZABOX_AN_FILE_TXT_PD"),
        converter,
        lines=True,
    ),
    "csv with a dtype": Format(
        ("csv", "text/csv;header=absent"), lines(" ", ENCODER), STRUCT, lines=True
    ),
    "csv with commas": Format(("csv",), lines(",", None), lines=True),
    "dataset": Format(
        ("hdf5", "application/x-hdf5", "HDF5"),
        hdf5({"entry/energy": COUNTS}, {"": COUNTS}),
        parameters={"dataset": "/entry/energy"},
    ),
    "frames of an area detector": Format(
        ("AD_HDF5", "AD_HDF5_SWMR", "AD_HDF5_SWMR_STREAM"),
        hdf5({"entry/data/data": numbers(ROWS, 12)}, {"": numbers(ROWS, 12)}),
    ),
    "records": Format(
        ("hdf5",),
        hdf5({"rows": RECORDS}, {"t": COUNTS, "count": RECORDS["count"]}),
        parameters={"dataset": "rows"},
    ),
    "panda": Format(
        ("panda", "PANDA"),
        hdf5(
            {"COUNTER1.OUT.Mean": COUNTS, "PCAP.TS": np.arange(ROWS + 1.0)},
            {"COUNTER1.OUT.Mean": COUNTS, "PCAP.TS": np.arange(ROWS)},
        ),
    ),
    "xspress3": Format(
        ("xspress3", "XSP3", "XSP3_FLY", "XSP3X"),
        hdf5(ROIS, {f"xs_ch0{c}_roi01": COUNTS + c for c in (1, 2, 3, 4)}),
    ),
    "one region of an xspress3": Format(
        ("xspress3",),
        hdf5(ROIS, {"": COUNTS + 3}),
        parameters={"data_type": "roi", "channel": 3, "roi_num": 1},
    ),
}


@pytest.fixture(params=FORMATS)
def written(request, tmp_path):
    """A format, its file, and the columns in it."""
    found = FORMATS[request.param]
    path = tmp_path / "file"
    return found, path, found.write(path)


def decode(found: Format, path: Path, **changed: Any) -> Mapping[str, np.ndarray]:
    given = {"parameters": found.parameters, "data_key": found.data_key} | changed
    return DECODERS[found.names[0]](path, given["parameters"], given["data_key"])


def attempt(
    found: Format, path: Path, **changed: Any
) -> Mapping[str, np.ndarray] | str:
    """Return the columns, or why there are none; any other error ends the test."""
    try:
        return decode(found, path, **changed)
    except (NotReady, Undecodable) as error:
        return str(error)


def check_columns(columns, expected, rows=ROWS):
    assert set(columns) == set(expected)
    for name, column in columns.items():
        assert len(column) == rows
        np.testing.assert_allclose(column, expected[name][:rows], rtol=1e-15)


def test_a_file_is_read_as_it_was_written(written):
    found, path, expected = written

    check_columns(decode(found, path), expected)


def test_every_name_in_the_table_belongs_to_a_format_that_is_checked():
    assert {name for f in FORMATS.values() for name in f.names} == set(DECODERS)


def test_all_names_of_a_format_are_one_decoder(written):
    found, _, _ = written

    assert len({DECODERS[name] for name in found.names}) == 1


@pytest.mark.parametrize("lie", LIES)
def test_shapes_and_types_in_the_descriptor_are_not_believed(written, lie):
    found, path, expected = written
    names = {k: v for k, v in found.data_key.items() if k.startswith("dtype")}

    check_columns(decode(found, path, data_key=lie | names), expected)


def test_a_file_that_is_not_there_or_empty_is_asked_for_again(written):
    found, path, _ = written
    path.unlink()
    with pytest.raises(NotReady):
        decode(found, path)
    path.touch()
    with pytest.raises(NotReady):
        decode(found, path)


def test_a_file_cut_anywhere_gives_no_wrong_number(written):
    """The last number of text may be cut where no newline says that it is whole."""
    found, path, expected = written
    whole = path.read_bytes()
    for length in np.random.default_rng(1).integers(1, len(whole), 60):
        path.write_bytes(whole[:length])
        columns = attempt(found, path)
        if not isinstance(columns, str):
            rows = len(next(iter(columns.values()))) - found.lines
            check_columns({n: c[:rows] for n, c in columns.items()}, expected, rows)


def test_a_binary_of_unnamed_columns_is_not_guessed(tmp_path):
    trigger(tmp_path / "file")

    with pytest.raises(Undecodable, match="apb or apb_trigger"):
        DECODERS["pizzabox_binary"](tmp_path / "file", {}, {"shape": [100_000]})


def test_a_broken_line_of_text_is_named_without_advice_for_programmers(tmp_path):
    path = tmp_path / "encoder"
    path.write_text("1 2 3 4 5\n" * 3 + "1 2\n" + "1 2 3 4 5\n")

    with pytest.raises(Undecodable, match=r"from 5 to 2 at row 4$"):
        DECODERS["PIZZABOX_ENC_FILE_TXT"](path, {}, {})


def test_nothing_but_a_regular_file_is_read(written, tmp_path):
    found, _, _ = written
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, Path("/dev/zero")):
        with pytest.raises(Undecodable, match="no regular file"):
            decode(found, path)


def test_a_file_without_end_is_not_read(written):
    """Of HDF5, what is behind the end that its header tells is not looked at."""
    found, path, _ = written
    is_hdf5 = path.read_bytes()[:4] == b"\x89HDF"
    os.truncate(path, MAX_BYTES + 120)

    columns = attempt(found, path)

    assert isinstance(columns, str) or is_hdf5


def test_damage_and_strange_parameters_are_borne(written):
    found, path, _ = written
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    chance = np.random.default_rng(2)
    for trial in range(60):
        damaged = whole.copy()
        places = chance.integers(0, len(whole), trial // 3)
        damaged[places] = chance.integers(0, 256, len(places))
        path.write_bytes(damaged.tobytes())
        strange = {WORDS[trial % len(WORDS)]: STRANGE[trial % len(STRANGE)]}

        columns = attempt(found, path, parameters={**found.parameters, **strange})

        if isinstance(columns, str):
            assert 0 < len(columns) < 1000
        else:
            assert len({len(column) for column in columns.values()}) <= 1
