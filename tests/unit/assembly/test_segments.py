"""Sweeps: cut from rows by run, event, count or turn of the energy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xasnn_stream.assembly.segments import Cut, Cutter
from xasnn_stream.assembly.settings import Segment

TURNS = Segment("turning_points", trim_ev=1.0, min_points=10, min_span_ev=50.0)
UP = np.linspace(11400.0, 11600.0, 201)  # an eV a row
DOWN = UP[::-1]


def whole(segment, energy, ended=True) -> list[Cut]:
    """Cut rows that come in one call."""
    cutter = Cutter(segment)
    return cutter.feed(np.asarray(energy, dtype=float)) + cutter.end(whole=ended)


def places(cuts):
    return [(cut.sweep, cut.first, cut.last, cut.direction) for cut in cuts]


def test_a_run_is_one_sweep_and_over_only_at_its_end():
    cutter = Cutter(Segment())

    assert cutter.feed(DOWN) == []
    assert cutter.end(whole=False) == [Cut(0, 0, 201, "down", ended=False)]
    assert cutter.feed(DOWN[:5] - 300) == []
    assert cutter.end(whole=True) == [Cut(0, 0, 206, "down", ended=True)]


@pytest.mark.parametrize("kind", ["per_run", "fixed_count", "turning_points"])
def test_a_run_without_rows_has_no_sweeps(kind):
    assert whole(Segment(kind), []) == []


def test_rows_that_every_sweep_drops_are_in_none():
    segment = Segment("fixed_count", points=5, drop_first=1, drop_last=2)

    assert places(whole(segment, UP[:10])) == [(0, 1, 3, "up"), (1, 6, 8, "up")]
    assert places(whole(segment, UP[:2])) == [(0, 1, 1, "up")]


def test_a_fixed_count_of_rows_is_a_sweep():
    cuts = whole(Segment("fixed_count", points=4), UP[:10], ended=False)

    assert cuts == [
        Cut(0, 0, 4, "up", ended=True),
        Cut(1, 4, 8, "up", ended=True),
        Cut(2, 8, 10, "up", ended=False),
    ]


def test_sweeps_end_where_energy_turns():
    energy = np.concatenate([UP, DOWN, UP])

    cuts = whole(Segment("turning_points"), energy)

    assert places(cuts) == [
        (0, 0, 201, "up"),
        (1, 201, 402, "down"),
        (2, 402, 603, "up"),
    ]


def test_the_one_row_at_a_sharp_turn_is_in_the_sweep_that_ends_there():
    cuts = whole(Segment("turning_points"), np.concatenate([UP, DOWN[1:]]))

    assert places(cuts) == [(0, 0, 201, "up"), (1, 201, 401, "down")]


def test_a_sweep_is_out_as_soon_as_energy_is_back_by_the_hysteresis():
    cutter = Cutter(Segment("turning_points", hysteresis_ev=5.0))

    assert cutter.feed(UP) == []
    assert [len(cutter.feed(np.array([e]))) for e in DOWN[:8]] == [0] * 6 + [
        1,
        0,
    ]


@pytest.mark.parametrize("wanted", ["up", "down"])
def test_a_direction_left_out_keeps_its_numbers(wanted):
    energy = np.concatenate([UP, DOWN, UP, DOWN])
    segment = Segment("turning_points", direction=wanted)

    assert [cut.sweep for cut in whole(segment, energy)] == (
        [0, 2] if wanted == "up" else [1, 3]
    )


def test_a_rest_at_the_turn_is_in_neither_sweep():
    rest = np.full(30, 11600.0)
    energy = np.concatenate([UP, rest, DOWN])

    exact = whole(Segment("turning_points"), energy)
    assert places(exact) == [(0, 0, 201, "up"), (1, 231, 432, "down")]
    trimmed = whole(TURNS, energy)
    assert places(trimmed) == [(0, 1, 200, "up"), (1, 232, 431, "down")]


def test_the_way_to_the_start_and_a_last_stub_are_no_sweeps():
    there = np.linspace(11430.0, 11400.0, 31)
    energy = np.concatenate([there, UP, DOWN, UP[:20]])

    cuts = whole(TURNS, energy)

    assert [(cut.sweep, cut.direction) for cut in cuts] == [(0, "up"), (1, "down")]
    assert energy[cuts[0].first] == 11401.0


def test_too_few_rows_are_no_sweep_at_the_ends_of_a_run_only():
    few = Segment("turning_points", min_points=50)
    coarse_up, coarse_down = UP[::10], DOWN[::10]
    energy = np.concatenate([coarse_down, UP, coarse_down, UP, coarse_down])

    cuts = whole(few, energy)

    assert [(cut.sweep, cut.direction) for cut in cuts] == [
        (0, "up"),
        (1, "down"),
        (2, "up"),
    ]
    assert whole(few, coarse_up) == []


def test_a_monochromator_that_does_not_move_makes_no_sweep():
    noise = np.random.default_rng(1).normal(0, 0.5, 1000)

    assert whole(TURNS, 11564.0 + noise) == []


def test_a_sweep_that_was_cut_short_is_what_came_of_it():
    cuts = whole(TURNS, np.concatenate([UP, DOWN[:120]]), ended=False)

    assert places(cuts)[1] == (1, 202, 320, "down")
    assert [cut.ended for cut in cuts] == [True, False]


def test_asking_for_what_is_under_way_changes_nothing():
    energy = np.concatenate([UP, DOWN, UP])
    for segment in (TURNS, Segment("fixed_count", points=150), Segment()):
        asked, unasked = Cutter(segment), Cutter(segment)
        for part in np.array_split(energy, 37):
            asked.end(whole=False)
            assert asked.feed(part) == unasked.feed(part)
        assert asked.end(whole=True) == unasked.end(whole=True)


def test_rows_without_an_energy_make_no_turn_and_end_no_sweep():
    energy = np.concatenate([[np.nan] * 3, UP, [np.nan] * 5, DOWN, [np.inf, 0.0]])
    energy[50:60] = [np.nan, 0.0] * 5

    cuts = whole(Segment("turning_points"), energy)

    assert places(cuts) == [(0, 3, 204, "up"), (1, 209, 410, "down")]


segments = st.builds(
    Segment,
    kind=st.sampled_from(["per_run", "fixed_count", "turning_points"]),
    direction=st.sampled_from(["both", "up", "down"]),
    points=st.integers(1, 9),
    min_points=st.integers(0, 6),
    min_span_ev=st.sampled_from([0.0, 4.0, 20.0]),
    hysteresis_ev=st.sampled_from([0.0, 2.0, 5.0]),
    trim_ev=st.sampled_from([0.0, 1.0, 3.0]),
    drop_first=st.integers(0, 2),
    drop_last=st.integers(0, 2),
)
any_energy = st.lists(
    st.integers(0, 30).map(float) | st.floats(0.5, 30) | st.just(np.nan), max_size=120
)


@given(segments, any_energy, st.lists(st.integers(0, 120), max_size=8))
@settings(max_examples=300, deadline=None)
def test_sweeps_do_not_depend_on_how_rows_were_divided(segment, energy, divisions):
    energy = np.array(energy, dtype=float)
    cutter = Cutter(segment)
    cuts = []
    for part in np.split(energy, sorted(divisions)):
        cuts += cutter.feed(part)
    cuts += cutter.end(whole=True)

    assert cuts == whole(segment, energy)


@given(segments, any_energy)
@settings(max_examples=300, deadline=None)
def test_sweeps_are_in_order_apart_and_within_the_run(segment, energy):
    cuts = whole(segment, energy)

    rows = [row for cut in cuts for row in (cut.first, cut.last)]
    assert rows == sorted(rows)
    assert all(0 <= row <= len(energy) for row in rows)
    sweeps = [cut.sweep for cut in cuts]
    assert sweeps == sorted(set(sweeps))


@st.composite
def oscillation(draw):
    """Energies of a monochromator that goes up and down, and where its sweeps are."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    direction = draw(st.sampled_from([1, -1]))
    noise = draw(st.sampled_from([0.0, 0.05, 0.3]))
    parts, truth, n_rows = [], [], 0

    def add(part):
        nonlocal n_rows
        parts.append(part)
        n_rows += len(part)

    for sweep in range(draw(st.integers(1, 6))):
        n = draw(st.integers(150, 400))
        path = np.linspace(11400.0, 11600.0, n)[::direction]
        add(np.full(draw(st.integers(0, 60)), path[0]))
        add(np.full(draw(st.integers(0, 3)), np.nan))
        truth.append((sweep, "up" if direction > 0 else "down", n_rows, n_rows + n))
        add(path)
        direction = -direction
    add(np.full(draw(st.integers(0, 60)), parts[-1][-1]))
    energy = np.concatenate(parts)
    energy += rng.uniform(-noise, noise, len(energy))
    energy[rng.uniform(size=len(energy)) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    return energy, truth


@given(oscillation(), st.integers(1, 400))
@settings(max_examples=200, deadline=None)
def test_up_and_down_are_recovered_under_noise_rests_padding_and_nan(case, n_rows):
    energy, truth = case
    cutter = Cutter(TURNS)
    cuts = []
    for part in np.split(energy, range(n_rows, len(energy), n_rows)):
        cuts += cutter.feed(part)
    cuts += cutter.end(whole=True)

    assert [(cut.sweep, cut.direction) for cut in cuts] == [t[:2] for t in truth]
    for cut, (_, direction, first, last) in zip(cuts, truth, strict=True):
        assert first <= cut.first < cut.last <= last  # no row of a rest or a neighbour
        lost = np.abs(energy[first:last] - 11500.0) < 90.0
        lost[cut.first - first : cut.last - first] = False
        assert not lost.any()  # and none missing far from the turns
        slope = np.polyfit(*_finite(energy, cut), 1)[0]
        assert (slope > 0) == (direction == "up")


def _finite(energy, cut):
    rows = np.arange(cut.first, cut.last)
    rows = rows[np.isfinite(energy[rows])]
    return rows - cut.first, energy[rows]


def test_a_long_run_keeps_only_the_rows_of_the_sweep_under_way():
    cutter = Cutter(TURNS)
    for _ in range(50):
        cutter.feed(UP)
        cutter.feed(DOWN)

    assert sum(len(part) for part in cutter._rows.parts) <= 3 * 201
