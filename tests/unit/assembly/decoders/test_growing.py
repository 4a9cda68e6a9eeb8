import resource
import subprocess
import sys
import time
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from xasnn_stream.assembly.decoders import GrowingArray, NotReady, Undecodable

RESOURCE = {
    "uid": "r",
    "data_key": "encoder",
    "mimetype": "application/x-hdf5",
    "uri": "file://localhost/not/looked/at.h5",
    "parameters": {"dataset": "/encoder", "chunk_shape": [64]},
}
ROWS = 500
ARRAYS = (np.zeros((0, 4)), np.arange(3))
"""Documents may hold them anywhere, and they are neither true nor false."""


def growing(path, data_key=None, **parameters):
    told = RESOURCE | {"parameters": RESOURCE["parameters"] | parameters}
    return GrowingArray(told, data_key or {"shape": [1]}, path)


def datum(start, stop):
    return {"indices": {"start": start, "stop": stop}, "seq_nums": {"start": 1}}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "panda.h5"
    with h5py.File(path, "w", libver="latest") as opened:
        opened.create_dataset("encoder", data=np.arange(ROWS) * 2.0, maxshape=(None,))
    return path


def test_only_promised_rows_are_there(file):
    array = growing(file)
    assert array.available() == 0

    array.consume(datum(0, 20))
    array.consume(datum(20, 30))

    assert array.available() == 30
    assert array.read(18, 30).tolist() == [36.0 + 2 * i for i in range(12)]


def test_more_rows_promised_than_written_are_waited_for(file):
    array = growing(file)
    array.consume(datum(0, ROWS + 1))

    assert array.available() == ROWS
    with pytest.raises(NotReady, match=f"has {ROWS} of {ROWS + 1} rows"):
        array.read(0, ROWS + 1)


def test_a_datum_that_comes_twice_promises_nothing_more(file):
    array = growing(file)
    for _ in range(3):
        array.consume(datum(0, 10))

    assert array.available() == 10


def test_rows_of_a_lost_datum_are_read_with_those_of_the_next(file):
    array = growing(file)
    array.consume(datum(40, 50))
    array.consume(datum(10, 20))

    assert array.available() == 50


def test_several_frames_of_an_index_are_several_rows(file):
    array = growing(file, multiplier=5)
    array.consume(datum(0, 4))

    assert array.available() == 20


@pytest.mark.parametrize(("shape", "dimensions"), [([5], 1), ([5, 3], 2)])
def test_a_shape_that_the_file_bears_out_says_how_many_rows_an_index_has(
    tmp_path, shape, dimensions
):
    path = tmp_path / "panda.h5"
    with h5py.File(path, "w") as opened:
        opened["encoder"] = np.zeros((40, 3)[:dimensions])
    array = growing(path, {"shape": shape})
    array.consume(datum(0, 4))

    assert (array.available(), array.per_index) == (20, 5)


@pytest.mark.parametrize(("shape", "dimensions"), [([5], 1), ([5], 2)])
def test_a_shape_that_the_file_does_not_bear_out_says_nothing(
    tmp_path, shape, dimensions
):
    path = tmp_path / "panda.h5"
    with h5py.File(path, "w") as opened:
        opened["encoder"] = np.zeros((40, 5)[:dimensions])
    array = growing(path, {"shape": shape})
    array.consume(datum(0, 40))

    assert (array.available(), array.per_index) == (40, 1)


def test_a_file_that_is_not_there_yet_has_no_rows(tmp_path):
    array = growing(tmp_path / "late.h5")
    array.consume(datum(0, 10))

    assert array.available() == 0
    with pytest.raises(NotReady):
        array.read(0, 10)


def test_nothing_is_read_of_a_file_that_is_cut_short(tmp_path):
    path = tmp_path / "copied.h5"
    with h5py.File(path, "w", libver="latest") as opened:
        opened.create_dataset("encoder", (0,), "f8", maxshape=(None,), chunks=(64,))
        opened.swmr_mode = True
        opened["encoder"].resize((ROWS,))
        opened["encoder"][:] = np.arange(1.0, 1 + ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    array = growing(path)
    array.consume(datum(0, ROWS))

    assert array.available() == 0
    with pytest.raises(NotReady, match="cut short"):
        array.read(0, ROWS)

    path.write_bytes(whole)
    assert array.read(0, array.available()).min() == 1.0


def test_a_dataset_that_is_not_there_yet_has_no_rows(file):
    array = growing(file, dataset="/entry/later")
    array.consume(datum(0, 10))

    assert array.available() == 0


@pytest.mark.parametrize(
    "shape", [[-1, -1], [10**12], [None], None, [], "x", [10**12] * 9, [0]]
)
def test_the_shape_in_the_descriptor_is_not_believed(file, shape):
    array = growing(file, {"shape": shape, "dtype_numpy": "V99999999999"})
    array.consume(datum(0, 10))

    assert array.read(0, array.available()).tolist() == [2.0 * i for i in range(10)]


@pytest.mark.parametrize(
    "indices",
    [
        None,
        {},
        {"start": 0, "stop": 10**12},
        {"start": 5, "stop": 2},
        {"start": -5, "stop": 2},
        {"start": 0, "stop": 1.5},
        {"start": None, "stop": "9"},
        {"start": False, "stop": True},
    ],
)
def test_indices_that_are_no_range_are_refused_and_change_nothing(file, indices):
    array = growing(file)
    array.consume(datum(0, 7))

    with pytest.raises(Undecodable, match="indices"):
        array.consume({"indices": indices})

    assert array.available() == 7


def test_a_thousand_million_promised_rows_take_no_memory(file):
    array = growing(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    array.consume(datum(0, 10**9))

    assert array.available() == ROWS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("rows", [(-1, 5), (5, 2), (0, -1)])
def test_rows_that_are_none_are_refused(file, rows):
    array = growing(file)
    array.consume(datum(0, 10))

    with pytest.raises(Undecodable):
        array.read(*rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"mimetype": "multipart/related;type=image/tiff"},
        {"mimetype": None},
        {"mimetype": ["application/x-hdf5"]},
        *({"mimetype": array} for array in ARRAYS),
        *({"parameters": {"template": array}} for array in ARRAYS),
        *({"parameters": {"multiplier": array}} for array in ARRAYS),
        {"parameters": {"dataset": "/encoder", "template": "{:d}.h5"}},
        {"parameters": {"dataset": "/encoder", "slice": "(1,)"}},
        {"parameters": {"dataset": "/encoder", "multiplier": -3}},
        {"parameters": {"dataset": "/encoder", "multiplier": 10**12}},
    ],
)
def test_a_resource_of_another_kind_is_refused_at_once(file, changed):
    with pytest.raises(Undecodable):
        GrowingArray(RESOURCE | changed, {"shape": [1]}, file)


@pytest.mark.parametrize(
    "dataset", [None, 7, "", "/", "\0", ["encoder"], {}, b"x", *ARRAYS]
)
def test_what_is_no_path_of_a_dataset_is_refused(file, dataset):
    array = growing(file, dataset=dataset)
    array.consume(datum(0, 5))

    with pytest.raises(Undecodable):
        array.available()


LIVE = """
import sys, time, h5py, numpy as np
with h5py.File(sys.argv[1], "w", libver="latest") as file:
    rows = file.create_dataset("encoder", (0,), maxshape=(None,), chunks=(64,), dtype="f8")
    file.swmr_mode = True
    print("writing", flush=True)
    for first in range(0, 2000, 50):
        rows.resize((first + 50,))
        rows[first:] = np.arange(first, first + 50)
        rows.flush()
        time.sleep(0.01)
    sys.stdin.read()
"""
HELD = """
import sys, h5py
with h5py.File(sys.argv[1], "w", locking=True) as file:
    file["encoder"] = [0.0, 1.0, 2.0]
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writing(script, path):
    """Another process that has the file open until this ends."""
    command = [sys.executable, "-c", script, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert process.stdout.readline() == b"writing\n"
            yield process
        finally:
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_file_is_read_while_another_process_writes_it(tmp_path):
    path = tmp_path / "live.h5"
    array, rows, sizes = growing(path), np.empty(0), set()
    array.consume(datum(0, 2000))
    with writing(LIVE, path) as writer:
        deadline = time.monotonic() + 30
        while len(rows) < 2000 and time.monotonic() < deadline:
            sizes.add(available := array.available())
            rows = np.concatenate([rows, array.read(len(rows), available)])
        assert writer.poll() is None

    assert rows.tolist() == list(range(2000))
    assert len(sizes) > 3, "it was not read while it grew"


def test_a_file_its_writer_holds_is_read_once_it_is_closed(tmp_path):
    path = tmp_path / "held.h5"
    array = growing(path)
    array.consume(datum(0, 3))
    with writing(HELD, path):
        assert array.available() == 0
        with pytest.raises(NotReady):
            array.read(0, 3)

    assert array.read(0, array.available()).tolist() == [0, 1, 2]
