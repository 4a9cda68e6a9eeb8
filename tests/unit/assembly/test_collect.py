"""What is read of a run while it goes on, and how often."""

from dataclasses import replace

from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.settings import Segment

from .bench import Bench
from .documents import SETTINGS, descriptor, event, start, stop


def test_rows_of_no_use_are_not_all_read_again_at_every_event(monkeypatch):
    read = []
    rows_of = OpenRun.rows

    def counted(run, table):
        read.append(len(table))
        return rows_of(run, table)

    monkeypatch.setattr(OpenRun, "rows", counted)
    cut = Segment(kind="turning_points", min_points=2)
    bench = Bench(replace(SETTINGS, segment=cut))
    events = [event(i + 1, it=None) for i in range(1_000)]

    (spectrum,) = bench.receive([start(), descriptor(), *events, stop(n_events=1_000)])

    assert sum(read) <= 4 * len(events)
    assert spectrum.problem is not None
    assert spectrum.problem.code == "no_signal"


def test_a_column_that_begins_late_is_still_cut_while_the_run_goes_on():
    cut = Segment(kind="fixed_count", points=10)
    bench = Bench(replace(SETTINGS, segment=cut))
    events = [event(i + 1, **({"it": None} if i < 3 else {})) for i in range(40)]

    spectra = bench.receive([start(), descriptor(), *events])

    assert [s.run.sweep for s in spectra] == [0, 1, 2, 3]
