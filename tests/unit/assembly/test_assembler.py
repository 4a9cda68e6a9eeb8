import copy
import dataclasses
import math

import numpy as np
import pytest

from xasnn_stream.assembly.settings import Lookup, Quantity, Rule, Signal

from .bench import Bench
from .documents import SETTINGS, descriptor, event, interleaved, scan, start, stop


def test_a_step_scan_becomes_one_spectrum_at_its_stop(bench):
    *documents, last = scan()

    assert bench.receive(documents) == []
    (spectrum,) = bench.receive([last])

    np.testing.assert_array_equal(spectrum.energy_ev, [11501, 11502, 11503, 11504])
    assert set(spectrum.channels) == {"i0", "it", "ir"}
    np.testing.assert_array_equal(spectrum.channels["it"], [5e4] * 4)
    assert spectrum.offsets == {"i0": 2.0, "it": 3.0}
    assert spectrum.conditions == {"temperature_k": 573.0}
    assert spectrum.time == (101.0, 104.0)
    assert (spectrum.element, spectrum.edge, spectrum.sample) == ("Pt", "L3", "Pt/C")
    assert spectrum.profile == "step"
    assert spectrum.problem is None
    run = spectrum.run
    assert (run.uid, run.scan_id, run.sweep, run.source) == ("run", 7, 0, "zmq://a")
    assert (run.direction, run.progress) == ("up", 1.0)
    assert (run.final, run.complete) == (True, True)
    assert run.access_tags == ("team",)
    assert bench.sweeps("complete") == 1


def test_a_detector_of_several_elements_has_a_column_for_each():
    fluorescence = Signal("xs1", offset=Quantity(default=2.0), more=("xs2", "xs3"))
    signals = {"i0": SETTINGS.signals["i0"], "if": fluorescence}
    bench = Bench(dataclasses.replace(SETTINGS, signals=signals))
    counts = [{"xs1": n, "xs2": 10 * n, "xs3": 100 * n} for n in range(1, 5)]
    events = [event(n, **data) for n, data in enumerate(counts, 1)]

    (spectrum,) = bench.receive([start(), descriptor(), *events, stop()])

    elements = np.outer([1, 2, 3, 4], [1, 10, 100])
    np.testing.assert_array_equal(spectrum.channels["if"], elements)
    np.testing.assert_array_equal(spectrum.channels["i0"], [1e5] * 4)
    assert spectrum.offsets == {"i0": 2.0, "if": 2.0}


def test_documents_are_never_changed(bench):
    documents = scan()
    before = copy.deepcopy(documents)

    bench.receive(documents)

    assert documents == before


def test_a_descending_scan_keeps_its_order(bench):
    documents = scan()
    for _, doc in documents[2:-1]:
        doc["data"]["energy"] = 11600.0 - doc["seq_num"]

    (spectrum,) = bench.receive(documents)

    np.testing.assert_array_equal(spectrum.energy_ev, [11599, 11598, 11597, 11596])
    assert spectrum.run.direction == "down"


def test_energies_in_kev_become_ev():
    from dataclasses import replace

    energy = replace(SETTINGS.energy, unit="keV")
    bench = Bench(replace(SETTINGS, energy=energy))

    (spectrum,) = bench.receive(scan(energy=11.5))

    np.testing.assert_allclose(spectrum.energy_ev, 11500.0)
    assert spectrum.run.direction is None


def test_a_dark_level_that_the_run_does_not_say_is_told_of():
    level = Quantity(("dark.i0",), math.nan)
    said = dataclasses.replace(SETTINGS.signals["i0"], offset=level)
    signals = {**SETTINGS.signals, "i0": said}
    bench = Bench(dataclasses.replace(SETTINGS, signals=signals))
    (known,) = bench.receive(scan("known"))
    (unknown,) = bench.receive([start("unknown", dark={}), *scan("unknown")[1:]])

    assert known.offsets["i0"] == 2.0
    assert known.unknown_offsets == ()
    assert "i0" not in unknown.offsets
    assert unknown.unknown_offsets == ("i0",)


def test_readings_written_as_text_are_numbers(bench):
    (spectrum,) = bench.receive(scan(it="5.5e4", i0=["100000"]))

    assert spectrum.problem is None
    assert spectrum.channels["it"].tolist() == [5.5e4] * 4
    assert spectrum.channels["i0"].tolist() == [1e5] * 4


@pytest.mark.parametrize(("lost", "n_missed"), [([2], 1), ([2, 3], 2), ([5], 1)])
def test_lost_events_are_counted_and_the_sweep_is_incomplete(bench, lost, n_missed):
    documents = [named for i, named in enumerate(scan()) if i not in lost]

    (spectrum,) = bench.receive(documents)

    assert spectrum.accounting.n_missed == n_missed
    assert not spectrum.run.complete
    assert len(spectrum.energy_ev) == 4 - n_missed
    assert bench.counters.value("rows_missed_total") == n_missed
    assert bench.sweeps("gapped") == 1


def test_an_aborted_run_without_gaps_is_complete_with_its_progress(bench):
    documents = [start(num_points=8), *scan()[1:-1], stop(exit_status="abort")]

    (spectrum,) = bench.receive(documents)

    assert spectrum.run.complete
    assert spectrum.run.progress == 0.5


def test_progress_is_unknown_if_the_length_was_never_announced(bench):
    (spectrum,) = bench.receive([start(num_points=None), *scan()[1:]])

    assert spectrum.run.progress is None


def test_more_points_than_announced_are_no_more_than_everything(bench):
    (spectrum,) = bench.receive([start(num_points=2), *scan()[1:]])

    assert spectrum.run.progress == 1.0


def test_repeated_documents_change_nothing(bench):
    (expected,) = Bench().receive(scan())

    twice = [named for named in scan() for _ in range(2)]
    (spectrum,) = bench.receive(twice)

    np.testing.assert_array_equal(spectrum.energy_ev, expected.energy_ev)
    assert spectrum.run == expected.run
    assert spectrum.accounting.n_missed == 0
    assert bench.receive(scan()) == []


def test_a_point_measured_again_after_a_pause_replaces_the_first(bench):
    documents = scan()
    documents.insert(4, event(2, it=4e4))

    (spectrum,) = bench.receive(documents)

    np.testing.assert_array_equal(spectrum.channels["it"], [5e4, 4e4, 5e4, 5e4])
    assert spectrum.run.complete


def test_events_out_of_order_are_put_in_order_of_acquisition(bench):
    documents = scan()
    documents[2:-1] = documents[2:-1][::-1]

    (spectrum,) = bench.receive(documents)

    np.testing.assert_array_equal(spectrum.energy_ev, [11501, 11502, 11503, 11504])
    assert spectrum.time == (101.0, 104.0)


def test_interleaved_runs_do_not_mix(bench):
    first = scan("a", it=1.0)
    second = scan("b", it=2.0)

    spectra = bench.receive(interleaved(first, second))

    assert [s.run.uid for s in spectra] == ["a", "b"]
    np.testing.assert_array_equal(spectra[0].channels["it"], [1.0] * 4)
    np.testing.assert_array_equal(spectra[1].channels["it"], [2.0] * 4)


def test_the_same_run_from_two_sources_is_two(bench):
    first = bench.receive(scan()[:-1], "zmq://a")
    second = bench.receive(scan(), "tiled+http://b/raw")
    third = bench.receive([stop()], "zmq://a")

    assert first == []
    assert [s.run.source for s in second + third] == ["tiled+http://b/raw", "zmq://a"]


def test_event_pages_are_unrolled(bench):
    page = {
        "descriptor": "run-primary",
        "uid": ["x"] * 4,
        "seq_num": [1, 2, 3, 4],
        "time": np.array([101.0, 102.0, 103.0, 104.0]),
        "data": {
            "energy": [11501.0, 11502.0, 11503.0, 11504.0],
            "i0": [1e5] * 4,
            "it": np.full(4, 5e4),
        },
        "timestamps": {},
    }

    (spectrum,) = bench.receive([start(), descriptor(), ("event_page", page), stop()])

    np.testing.assert_array_equal(spectrum.energy_ev, [11501, 11502, 11503, 11504])
    assert set(spectrum.channels) == {"i0", "it"}
    assert spectrum.run.complete


def test_an_event_page_of_uneven_columns_is_rejected(bench):
    page = {
        "descriptor": "run-primary",
        "seq_num": [1, 2],
        "time": [1.0, 2.0],
        "data": {"energy": [1.0]},
    }

    bench.receive([start(), descriptor(), ("event_page", page)])

    assert bench.rejected("invalid") == 1


def test_events_of_other_streams_are_no_points(bench):
    documents = scan()
    documents[2:2] = [descriptor(stream="baseline"), event(1, stream="baseline")]

    (spectrum,) = bench.receive(documents)

    assert len(spectrum.energy_ev) == 4
    assert bench.rejected("orphan") == 0


def test_a_new_descriptor_of_the_stream_continues_the_sweep(bench):
    documents = scan()
    later = {"uid": "second", "run_start": "run", "name": "primary"}
    documents[4][1]["descriptor"] = documents[5][1]["descriptor"] = "second"
    documents.insert(4, ("descriptor", later))

    (spectrum,) = bench.receive(documents)

    assert len(spectrum.energy_ev) == 4
    assert spectrum.run.complete


@pytest.mark.parametrize(
    "documents",
    [
        [start(), stop(n_events=0)],
        [start(), descriptor(), stop(n_events=0)],
        scan(it="a text"),
        scan(it="5,0"),
        scan(it=math.nan),
        scan(i0=None),
        scan(energy=[1, 2]),
        scan(energy=True),
        scan(i0=10**400),
    ],
)
def test_a_run_without_usable_signal_is_still_exactly_one_spectrum(bench, documents):
    (spectrum,) = bench.receive(documents)

    assert spectrum.problem is not None
    assert spectrum.problem.code == "no_signal"
    assert "run" in spectrum.problem.text
    assert spectrum.energy_ev.shape == (0,)
    assert spectrum.channels == {}
    assert spectrum.run.final
    assert spectrum.run.complete
    assert bench.sweeps("unusable") == 1


def test_a_run_that_names_no_edge_says_so(bench):
    (spectrum,) = bench.receive([start(edge=None), *scan()[1:]])

    assert spectrum.problem is not None
    assert spectrum.problem.code == "no_edge"


@pytest.mark.parametrize(
    ("said", "mode"),
    [("fluo", "fluorescence"), (["yield"], "yield"), (7, "7"), ("", ""), (None, "")],
)
def test_a_mode_that_the_profile_does_not_know_is_not_taken_for_its_own(said, mode):
    where = Lookup(("mode",), values={"fluo": "fluorescence"})
    bench = Bench(dataclasses.replace(SETTINGS, mode=where))
    (spectrum,) = bench.receive([start(mode=said), *scan()[1:]])
    assert spectrum.mode == mode


def test_a_run_whose_events_were_all_lost_is_incomplete(bench):
    (spectrum,) = bench.receive([start(), stop()])

    assert spectrum.problem is not None
    assert spectrum.accounting.n_missed == 4
    assert not spectrum.run.complete


def test_single_readings_that_are_no_number_become_nan(bench):
    documents = scan()
    documents[3][1]["data"]["it"] = "overload"
    del documents[4][1]["data"]["it"]
    documents[5][1]["data"]["it"] = np.array([6e4])

    (spectrum,) = bench.receive(documents)

    np.testing.assert_array_equal(spectrum.channels["it"], [5e4, np.nan, np.nan, 6e4])


def test_a_channel_without_any_number_is_left_out(bench):
    (spectrum,) = bench.receive(scan(ir=None))

    assert set(spectrum.channels) == {"i0", "it"}
    assert spectrum.problem is None


def test_runs_of_no_profile_are_counted_and_ignored(bench):
    documents = scan()
    documents[0][1]["plan_name"] = "align"

    assert bench.receive(documents) == []

    assert bench.counters.value("runs_ignored_total") == 1
    assert bench.rejected("orphan") == 0


def test_the_first_profile_that_fits_takes_the_run():
    from dataclasses import replace

    picky = replace(SETTINGS, profile="picky", reject=(Rule("sample", exists=True),))
    second = replace(SETTINGS, profile="second")
    bench = Bench(picky, second, SETTINGS)

    (spectrum,) = bench.receive(scan())

    assert spectrum.profile == "second"


def test_documents_of_unknown_runs_are_counted(bench):
    bench.receive([descriptor("x"), event(1, "x"), stop("x")])
    bench.now_s += 1.0
    bench.assembler.release_idle_runs()

    assert bench.rejected("orphan") == 3
