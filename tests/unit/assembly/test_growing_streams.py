"""Streams whose rows are in files that grow, told of by StreamDatums."""

import h5py
import numpy as np
import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.files import Files
from xasnn_stream.profile.load import load_profile
from xasnn_stream.telemetry.counters import Counters

HC, D_SPACING, PULSES_PER_DEG = 12398.42, 3.1355, 100_000
KEYS = ("inenc-1-val", "counter-1-out", "counter-2-out", "pcap-ts_trig")
ROWS = 1_200


@pytest.fixture
def file(tmp_path):
    """A file of one sweep up and one down, of 600 rows each."""
    up = np.linspace(11_364.0, 11_964.0, ROWS // 2)
    energy = np.concatenate([up, up[::-1]])
    counts = np.rad2deg(np.arcsin(HC / (2 * D_SPACING * energy))) * PULSES_PER_DEG
    it = 1e6 * np.exp(-np.where(energy > 11_564.0, 1.5, 0.5))
    columns = (counts, np.full(ROWS, 1e6), it, np.arange(ROWS) * 1e-3)
    path = tmp_path / "panda.h5"
    with h5py.File(path, "w", libver="latest") as opened:
        for key, column in zip(KEYS, columns, strict=True):
            opened[key] = column
    return path


def documents(path, shapes, told):
    """One run; `told` are the last indices of its StreamDatums."""
    yield (
        "start",
        {"uid": "run", "time": 1.0, "plan_name": "fly_scan_ts"}
        | {"element": "Pt", "edge": "L3"},
    )
    data_keys = {
        key: {"source": "panda", "dtype": "number", "external": "STREAM:"}
        | {"shape": shapes.get(key, [1])}
        for key in KEYS
    }
    yield (
        "descriptor",
        {"uid": "stream", "run_start": "run", "time": 1.0, "name": "primary"}
        | {"data_keys": data_keys},
    )
    for key in KEYS:
        yield (
            "stream_resource",
            {"uid": key, "run_start": "run", "data_key": key, "uri": path.as_uri()}
            | {"mimetype": "application/x-hdf5", "parameters": {"dataset": key}},
        )
    for start, stop in zip((0, *told), told, strict=False):
        for key in KEYS:
            indices = {"start": start, "stop": stop}
            yield (
                "stream_datum",
                {"uid": f"{key}/{stop}", "descriptor": "stream"}
                | {"stream_resource": key, "indices": indices},
            )


def stop(events):
    numbers = {"primary": events}
    return "stop", {
        "uid": "end",
        "run_start": "run",
        "time": 9.0,
        "num_events": numbers,
    }


def sweeps(received, timeout_s=0.0):
    assembler = Assembler(
        [load_profile("dls-fly").assembly],
        Counters(),
        files=Files(roots=None, timeout_s=timeout_s),
    )
    found = [
        spectrum
        for name, doc in received
        for spectrum in assembler.receive(name, doc, "here")
    ]
    return found + assembler.close_open_runs("here")


def five(keys=KEYS):
    return {key: [5] for key in keys}


def test_every_row_of_an_event_of_several_collections_is_read(file):
    received = [*documents(file, five(), (130, 240)), stop(240)]

    up, down = sweeps(received)

    assert (up.run.direction, down.run.direction) == ("up", "down")
    assert (up.run.complete, down.run.complete) == (True, True)
    for sweep in (up, down):
        mu = np.log(sweep.channels["i0"] / sweep.channels["it"])
        assert len(sweep.energy_ev) > ROWS // 2 - 4
        assert np.ptp(sweep.energy_ev) == pytest.approx(600.0, abs=3.0)
        assert mu == pytest.approx(np.where(sweep.energy_ev > 11_564.0, 1.5, 0.5))


def test_rows_of_a_lost_last_datum_are_missed_by_collections(file):
    received = [*documents(file, five(), (180,)), stop(240)]

    *_, last = sweeps(received)

    assert (last.run.complete, last.accounting.n_missed) == (False, 60 * 5)


@pytest.mark.parametrize("last", [ROWS // 2 + 10, ROWS // 2 + 40])
def test_sweeps_that_were_lost_behind_the_last_are_told_of(file, last):
    up, lost = sweeps([*documents(file, {}, (last,)), stop(ROWS)])

    assert (up.run.sweep, up.run.complete) == (0, True)
    assert (lost.run.sweep, lost.run.complete) == (1, False)
    assert lost.accounting.n_missed == ROWS - last
    assert lost.problem is not None
    assert lost.problem.code == "incomplete"


def test_keys_with_other_numbers_of_collections_are_not_laid_beside_each_other(file):
    shapes = five(KEYS[1:])

    (none,) = sweeps([*documents(file, shapes, (130, 240)), stop(240)])

    assert none.problem is not None
    assert none.problem.code == "unreadable_file"
    assert "5 rows of 'counter-1-out' to 1 of 'inenc-1-val'" in none.problem.text


@pytest.mark.parametrize("keys", [KEYS, KEYS[1:2]])
def test_a_shape_that_is_wrong_costs_no_sweep(file, keys):
    received = [*documents(file, five(keys), (700, ROWS)), stop(ROWS)]

    found = sweeps(received, timeout_s=60.0)

    assert [(s.run.direction, s.run.complete) for s in found] == [
        ("up", True),
        ("down", True),
    ]


@pytest.mark.parametrize("lost", [KEYS, KEYS[2:3]])
def test_a_datum_lost_of_the_first_of_two_files_moves_no_row(file, tmp_path, lost):
    parts = [tmp_path / "first.h5", tmp_path / "second.h5"]
    with h5py.File(file) as whole:
        for number, part in enumerate(parts):
            with h5py.File(part, "w") as opened:
                for key in KEYS:
                    opened[key] = np.array(whole[key])[number * 600 :][:600]
    first = [*documents(parts[0], {}, (400, 600))]
    second = [
        (name, doc | {"stream_resource": f"{key}-2", "seq_nums": {"start": 601}})
        if name == "stream_datum"
        else (name, doc | {"uid": f"{key}-2"})
        for name, doc in documents(parts[1], {}, (600,))
        if name in ("stream_resource", "stream_datum")
        for key in [doc.get("data_key") or doc["stream_resource"]]
    ]
    received = [named for named in first if named[1]["uid"] not in losses(lost)]

    found = sweeps([*received, *second, stop(ROWS)])

    expected = sweeps([*documents(file, {}, (ROWS,)), stop(ROWS)])
    assert [s.run for s in found] == [s.run for s in expected]
    for sweep, same in zip(found, expected, strict=True):
        assert sweep.channels["it"].tolist() == same.channels["it"].tolist()


def losses(keys):
    return {f"{key}/600" for key in keys}


def test_a_file_that_did_not_come_is_named(file):
    received = [*documents(file, {}, (ROWS,)), stop(ROWS)]
    file.rename(file.with_name("elsewhere.h5"))

    (none,) = sweeps(received)

    assert none.problem is not None
    assert none.problem.code == "no_file"
    assert str(file) in none.problem.text


def test_a_file_with_too_few_rows_is_named(file):
    with h5py.File(file, "a") as opened:
        del opened["counter-2-out"]
        opened["counter-2-out"] = np.ones(10)

    (none,) = sweeps([*documents(file, {}, (ROWS,)), stop(ROWS)])

    assert none.problem is not None
    assert f"{file} has 10 of {ROWS} rows" in none.problem.text


def as_before(name, doc, path, **kwargs):
    """The document as event-model wrote it before 1.21."""
    if name == "stream_resource":
        doc = {key: doc[key] for key in ("uid", "run_start", "data_key")} | {
            "spec": "AD_HDF5_SWMR_SLICE",
            "root": str(path.parent),
            "resource_path": path.name,
            "path_semantics": "posix",
            "resource_kwargs": {"path": f"/{doc['data_key']}", "swmr": True} | kwargs,
        }
    return name, doc


@pytest.mark.parametrize("frames", ["multiplier", "frame_per_point"])
def test_stream_resources_in_their_old_form_mean_the_same(file, frames):
    received = [*documents(file, {}, (130, 240)), stop(240)]
    before = [as_before(n, doc, file, **{frames: 5}) for n, doc in received]

    found = sweeps(before)

    expected = sweeps([*documents(file, five(), (130, 240)), stop(240)])
    assert len(found) == len(expected) == 2
    for sweep, same in zip(found, expected, strict=True):
        assert sweep.run == same.run
        assert sweep.energy_ev.tolist() == same.energy_ev.tolist()


def test_an_old_stream_resource_of_an_unknown_spec_is_refused_by_its_name(file):
    received = [*documents(file, {}, (ROWS,)), stop(ROWS)]
    before = [as_before(n, doc, file) for n, doc in received]
    for name, doc in before:
        if name == "stream_resource":
            doc["spec"] = "AD_CBF"

    (none,) = sweeps(before)

    assert none.problem is not None
    assert none.problem.code == "unreadable_file"
    assert "'AD_CBF'" in none.problem.text
