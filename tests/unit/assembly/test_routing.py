"""Which run a document is given to when uids say it badly."""

import pytest

from xasnn_stream.assembly.files import Files
from xasnn_stream.profile import load_profile
from xasnn_stream.simulation.documents.shapes import generate

from .bench import Bench
from .documents import descriptor, event, interleaved, scan, start, stop


def energies(spectra):
    return {s.run.uid: (s.run.complete, s.energy_ev.tolist()) for s in spectra}


def test_a_descriptor_called_as_another_run_takes_nothing_from_it():
    bench = Bench()
    other = ("descriptor", {"uid": "b", "run_start": "a", "name": "primary"})
    found = bench.receive([start("b"), start("a"), other, *scan("b")[1:], stop("a", 0)])
    assert energies(found)["b"] == energies(Bench().receive(scan("b")))["b"]
    assert energies(found)["a"] == (True, [])


def test_a_descriptor_of_two_runs_stays_that_of_the_first():
    bench = Bench()
    again = ("descriptor", {**descriptor("a")[1], "run_start": "b"})
    found = bench.receive(
        [start("a"), descriptor("a"), start("b"), again, *scan("a")[2:], stop("b")]
    )
    assert energies(found)["a"] == energies(Bench().receive(scan("a")))["a"]
    assert energies(found)["b"] == (False, [])
    assert bench.rejected("invalid") == 1


def test_a_start_called_as_a_descriptor_does_not_take_its_events():
    bench = Bench()
    early = [event(1, "a"), start("a-primary"), *scan("a"), stop("a-primary", 0)]
    found = bench.receive(early)
    assert energies(found)["a"] == energies(Bench().receive(scan("a")))["a"]


def fly_scans(shape, directory, count=2):
    made = [
        generate(shape, directory=directory / str(i), sweeps=2, seed=i)
        for i in range(count)
    ]
    return [list(one.documents) for one in made]


def told(spectra):
    return sorted((s.run.uid, s.run.sweep, s.run.complete, s.problem) for s in spectra)


def read(shape, documents):
    settings = load_profile(shape).assembly
    bench = Bench(settings, files=Files(roots=None, timeout_s=0.0))
    return told(bench.receive(documents)), bench


def test_resources_that_name_no_run_are_those_of_every_open_run(tmp_path):
    runs = [
        [
            (
                name,
                {
                    k: v
                    for k, v in doc.items()
                    if (name, k) != ("resource", "run_start")
                },
            )
            for name, doc in run
        ]
        for run in fly_scans("iss-fly", tmp_path)
    ]
    expected = sorted(read("iss-fly", runs[0])[0] + read("iss-fly", runs[1])[0])
    assert read("iss-fly", interleaved(*runs))[0] == expected
    assert all(complete for _, _, complete, _ in expected)


def test_what_is_refused_is_told_once_with_its_run(caplog):
    bench = Bench()
    bench.receive([start(), descriptor(), *[event(0)] * 3, *scan()[2:]])

    assert bench.rejected("invalid") == 3
    (record,) = caplog.records
    assert "event of run run" in record.message


def test_a_resource_that_names_no_run_and_has_none_is_counted():
    bench = Bench()
    bench.receive([("resource", {"uid": "r", "spec": "APB", "resource_path": "x"})])
    assert bench.rejected("orphan") == 1


def test_runs_may_refer_to_resources_of_one_uid(tmp_path):
    (one,) = fly_scans("iss-fly", tmp_path, count=1)
    uid = one[0][1]["uid"]

    def renamed(doc):
        own = {"uid", "run_start", "descriptor"} - (
            {"uid"} if "spec" in doc else set[str]()
        )
        return {k: f"{v}-again" if k in own else v for k, v in doc.items()}

    again = [(name, renamed(doc)) for name, doc in one]
    found, _ = read("iss-fly", interleaved(one, again))
    assert [row[:3] for row in found] == [
        (uid, 0, True),
        (uid, 1, True),
        (f"{uid}-again", 0, True),
        (f"{uid}-again", 1, True),
    ]


@pytest.mark.parametrize("late", ["descriptor", "stream_resource"])
def test_stream_datums_wait_for_both_that_they_name(late, tmp_path):
    (run,) = fly_scans("dls-fly", tmp_path, count=1)
    behind = [named for named in run if named[0] == late]
    others = [named for named in run if named[0] != late]
    found, bench = read("dls-fly", [*others[:-1], *behind, others[-1]])
    assert found == read("dls-fly", run)[0]
    assert bench.rejected("invalid") == 0
