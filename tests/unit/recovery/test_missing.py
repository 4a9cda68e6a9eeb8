import itertools

import pytest

from xasnn_stream.assembly.patience import Patience
from xasnn_stream.recovery import missing as module
from xasnn_stream.recovery.missing import Missing


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def missing(clock):
    missing = Missing(clock)
    missing.scan_begun()
    return missing


def test_a_run_with_an_incomplete_result_is_due_soon_and_until_it_is_complete(
    missing, clock
):
    missing.heard("a")
    assert missing.busy
    missing.incomplete("a")
    assert not missing.busy
    assert (missing.count, missing.due()) == (1, [])
    clock.now_s += 1.0
    assert missing.due() == ["a"]
    missing.complete("a")
    assert (missing.count, missing.due()) == (0, [])


def test_what_cannot_be_read_yet_is_looked_for_at_growing_distances(missing, clock):
    missing.incomplete("a")
    began, seen = clock.now_s, []
    while clock.now_s < began + 200:
        clock.now_s += 1.0
        if missing.due():
            seen.append(clock.now_s - began)
            missing.later("a")
    assert seen == [1, 2, 4, 8, 16, 32, 64, 124, 184]


def test_the_stop_of_a_known_run_has_it_looked_for_soon_again(missing, clock):
    missing.incomplete("a")
    for _ in range(10):
        missing.later("a")
    clock.now_s += 1.0
    assert missing.due() == []
    missing.over("a")
    missing.over("complete one")
    clock.now_s += 1.0
    assert missing.due() == ["a"]
    assert missing.count == 1


def test_a_run_that_is_heard_is_not_looked_for(missing, clock):
    missing.heard("a")
    missing.unknown("a")
    clock.now_s += 10.0
    assert (missing.due(), missing.count) == ([], 0)


def test_a_run_that_is_heard_may_be_read_once_its_stop_is_overdue(missing, clock):
    for uid in ("late", "in time"):
        missing.heard(uid)
        assert not missing.may_read(uid)
    clock.now_s += 9.0
    missing.complete("in time")
    assert (missing.due(), missing.count) == ([], 1)
    clock.now_s += 1.0
    assert missing.due() == ["late"]
    assert missing.may_read("late")


def test_a_run_whose_rows_are_all_there_is_released_before_it_is_read(missing, clock):
    missing.heard("a")
    assert not missing.may_read("a")
    clock.now_s += Patience().whole_s
    assert missing.due() == []
    missing.incomplete("a")
    clock.now_s += module.FIRST_DELAY_S
    assert missing.due() == ["a"]


def test_a_run_being_read_or_given_up_is_not_read_again(missing, clock):
    for uid, verdict in (("a", missing.reading), ("b", missing.give_up)):
        missing.incomplete(uid)
        clock.now_s += 1.0
        verdict(uid)
        clock.now_s += 60.0
        assert not missing.may_read(uid)
    missing.unknown("b")
    missing.incomplete("c")
    missing.everything_due()
    assert missing.due() == ["c"]
    assert missing.count == 3


def test_a_run_is_not_looked_for_for_ever(missing, clock):
    missing.incomplete("a")
    clock.now_s += module.GIVE_UP_S + 1
    assert missing.due() == []
    assert missing.count == 1


def test_the_store_is_looked_at_every_minute_and_soon_when_something_was_lost(
    missing, clock
):
    clock.now_s += 59.0
    assert not missing.scan_due()
    clock.now_s += 1.0
    assert missing.scan_due()
    missing.scan_begun()
    missing.look()
    assert not missing.scan_due()
    clock.now_s += 1.0
    assert missing.scan_due()


def test_scans_asked_for_all_the_time_come_at_growing_distances(missing, clock):
    began, seen = clock.now_s, []
    while clock.now_s < began + 200:
        missing.look()
        clock.now_s += 0.5
        if missing.scan_due():
            missing.scan_begun()
            seen.append(clock.now_s - began)
    steps = [b - a for a, b in itertools.pairwise(seen)]
    assert steps[:5] == [2, 4, 8, 16, 32]
    assert steps[5:] == [60, 60]


def test_what_is_known_is_bounded(missing, monkeypatch):
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    for uid in "abcd":
        missing.incomplete(uid)
    missing.everything_due()
    assert missing.due() == ["b", "c", "d"]
