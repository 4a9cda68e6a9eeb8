"""Clocks: when rows were taken, and rows of several clocks on one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xasnn_stream.assembly.clocks import times, together
from xasnn_stream.assembly.settings import Clock
from xasnn_stream.assembly.table import Table

BEGAN = 1.7e9
TICK_S = 8.0051232e-9


def table(time=None, **columns) -> Table:
    columns = {name: np.asarray(column) for name, column in columns.items()}
    n = len(next(iter(columns.values()), () if time is None else time))
    time = np.full(n, np.nan) if time is None else np.asarray(time, dtype=float)
    return Table(columns, np.ones(n, dtype=np.int64), time)


def edges(*at_s_and_transition) -> Table:
    at_s, transition = zip(*at_s_and_transition, strict=True)
    return table(timestamp=np.add(BEGAN, at_s), transition=transition)


def relative(found):
    return (found - BEGAN).round(6).tolist()


def test_rows_of_events_were_taken_at_the_events():
    found = times(table(time=[BEGAN + 1, np.nan, BEGAN + 3]), Clock(), BEGAN, None)

    assert found[[0, 2]].tolist() == [BEGAN + 1, BEGAN + 3]
    assert np.isnan(found[1])


def test_a_column_counts_in_its_unit_from_the_start_of_the_run():
    clock = Clock("column", "ms", unit_s=1e-3, epoch=False)

    assert relative(times(table(ms=[0, 500, 1500]), clock, BEGAN, None)) == [
        0,
        0.5,
        1.5,
    ]


def test_whole_seconds_and_ticks_are_one_time():
    clock = Clock("split", "s", fraction="ticks", unit_s=TICK_S)
    rows = table(s=np.array([BEGAN, BEGAN + 1], dtype=int), ticks=[62_460_001, 0])

    assert relative(times(rows, clock, 0.0, None)) == [0.5, 1.0]


@pytest.mark.parametrize(
    "padding", [0.0, BEGAN - 2e8, BEGAN + 2e8, 6e9, np.nan, np.inf]
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_padding_has_no_time(padding, place):
    rows = BEGAN + np.arange(5.0)
    rows[place] = padding

    found = times(table(t=rows), Clock("column", "t"), BEGAN, None)

    assert np.flatnonzero(np.isnan(found)).tolist() == [place]


def test_nothing_but_padding_has_no_times():
    found = times(table(t=np.zeros(3)), Clock("column", "t"), BEGAN, None)

    assert np.isnan(found).all()


def test_an_absent_column_has_no_times():
    for clock in (Clock("column", "other"), Clock("split", "t", fraction="other")):
        assert np.isnan(times(table(t=[BEGAN]), clock, BEGAN, None)).all()


@pytest.mark.parametrize(
    ("at", "expected"),
    [("rise", [1.0, 2.0]), ("mid", [1.2, 2.2]), ("fall", [1.4, 2.4])],
)
def test_frames_were_taken_during_their_pulses(at, expected):
    pulses = edges((1.0, 1), (1.4, 0), (2.0, 1), (2.4, 0))

    found = times(table(roi=[5, 6]), Clock("edges", pulses="trig", at=at), 0.0, pulses)

    assert relative(found) == expected


def test_frames_and_pulses_without_one_another_are_left_over():
    clock = Clock("edges", pulses="trig")
    one, three = (
        edges((1, 1), (2, 0)),
        edges((1, 1), (2, 0), (3, 1), (4, 0), (5, 1), (6, 0)),
    )

    found = times(table(roi=[1, 2]), clock, 0.0, one)
    assert relative(found)[0] == 1.5
    assert np.isnan(found[1])
    assert relative(times(table(roi=[1, 2]), clock, 0.0, three)) == [1.5, 3.5]
    assert np.isnan(times(table(roi=[1]), clock, 0.0, None)).all()


def test_a_lost_edge_costs_one_frame_and_shifts_none():
    clock = Clock("edges", pulses="trig")
    frames = table(roi=[1, 2, 3])
    lost_fall = edges((1, 1), (2, 0), (3, 1), (5, 1), (6, 0))
    lost_rise = edges((1, 1), (2, 0), (4, 0), (5, 1), (6, 0))

    for pulses in (lost_fall, lost_rise):
        found = times(frames, clock, 0.0, pulses)
        assert relative(found[[0, 2]]) == [1.5, 5.5]
        assert np.isnan(found[1])


def test_padding_among_edges_is_no_edge():
    pulses = table(timestamp=[BEGAN + 1, 0.0, BEGAN + 2, 0.0], transition=[1, 0, 0, 1])

    found = times(table(roi=[1]), Clock("edges", pulses="trig"), 0.0, pulses)

    assert relative(found) == [1.5]


def test_a_pulse_train_that_begins_with_a_fall_begins_with_the_next_rise():
    pulses = edges((0.5, 0), (1, 1), (2, 0))

    found = times(table(roi=[1]), Clock("edges", pulses="trig"), 0.0, pulses)

    assert relative(found) == [1.5]


def test_the_common_clock_is_that_of_the_slowest_within_all():
    fast = np.arange(0.0, 10.0, 0.3)
    slow = np.arange(-2.0, 12.0, 1.0)

    at_s, found = together([(fast, {"a": fast}), (slow, {"b": 2 * slow})])

    assert at_s.tolist() == list(range(10))
    assert found["b"].tolist() == [2.0 * t for t in range(10)]
    assert found["a"] == pytest.approx(at_s, abs=1e-12)


def test_what_moves_smoothly_is_brought_to_the_readings_however_few_rows_it_has():
    position = np.arange(0.0, 10.0, 1.0)
    readings = np.arange(0.25, 9.0, 0.1)
    i0 = np.cos(40 * readings)
    series = [(position, {"energy": 2 * position}), (readings, {"i0": i0})]

    at_s, found = together(series, smooth=("energy",))

    assert np.array_equal(at_s, readings)
    assert np.array_equal(found["i0"], i0)
    assert found["energy"] == pytest.approx(2 * readings, abs=1e-12)


def test_a_motion_is_followed_between_its_rows_and_left_at_no_rest():
    position = np.concatenate(
        (np.arange(0.0, 6.3, 0.1), 6.3 + np.arange(1e-6, 1.0, 0.1))
    )
    energy = np.where(position < 6.3, 500 * np.cos(position / 2), 500 * np.cos(3.15))
    readings = np.arange(0.005, 7.0, 0.01)
    truth = np.where(readings < 6.3, 500 * np.cos(readings / 2), 500 * np.cos(3.15))

    _, found = together(
        [(position, {"energy": energy}), (readings, {"i0": readings})], ("energy",)
    )

    # On straight lines it would be off by 500 / 4 * 0.1² / 8 = 0.16.
    moving = (readings > 0.2) & (readings < 6.0)
    assert np.abs(found["energy"] - truth)[moving].max() < 0.02
    assert found["energy"].min() == energy.min()
    assert found["energy"].max() <= energy.max()


def test_a_position_that_is_none_touches_only_what_lies_beside_it():
    position = np.arange(0.0, 10.0, 1.0)
    energy = np.where(position == 5.0, np.nan, position**2)
    readings = np.arange(0.25, 9.0, 0.5)

    _, found = together(
        [(position, {"energy": energy}), (readings, {"i0": readings})], ("energy",)
    )

    none = readings[np.isnan(found["energy"])]
    assert none.tolist() == [4.25, 4.75, 5.25, 5.75]


@pytest.mark.parametrize("smooth", [(), ("energy",)])
def test_nothing_is_interpolated_over_a_gap(smooth):
    """A monochromator that turned or rested meanwhile would have other energies."""
    position = np.arange(0.0, 10.0, 0.1)
    position = position[(position < 4.05) | (position > 5.95)]
    readings = np.arange(0.0, 9.0, 0.05)

    at_s, found = together(
        [(position, {"energy": position}), (readings, {"i0": readings})][::-1], smooth
    )

    within = (at_s > 4.01) & (at_s < 5.99)
    assert np.isnan(found["energy"][within]).all()
    assert found["energy"][~within] == pytest.approx(at_s[~within])


def test_a_smooth_column_beside_a_reading_has_the_clock_of_the_reading():
    slow = np.arange(0.0, 10.0, 1.0)
    fast = np.arange(0.0, 10.0, 0.4)
    series = [(slow, {"energy": slow, "i0": slow}), (fast, {"it": fast})]

    at_s, _ = together(series, smooth=("energy",))

    assert at_s.tolist() == slow.tolist()


def test_rows_of_one_clock_stay_as_they_are():
    at_s = np.sort(np.random.default_rng(1).uniform(0, 1, 50))
    a, b = np.random.default_rng(2).normal(size=(2, 50))
    a[7] = np.nan

    same, found = together([(at_s, {"a": a}), (at_s, {"b": b})])

    assert np.array_equal(same, at_s)
    assert np.array_equal(found["a"], a, equal_nan=True)
    assert np.array_equal(found["b"], b)


def test_a_reading_that_is_none_touches_only_what_lies_beside_it():
    fast = np.arange(0.0, 10.0, 0.5)
    column = np.where(fast == 4.5, np.nan, fast)
    slow = np.arange(0.25, 9.0)

    _, found = together([(fast, {"a": column}), (slow, {"b": slow})])

    assert np.flatnonzero(np.isnan(found["a"])).tolist() == [4]


def test_a_much_denser_series_is_averaged_around_every_row():
    rng = np.random.default_rng(3)
    dense = np.arange(0.0, 10.0, 0.001)
    sparse = np.arange(0.0, 10.0, 0.1)
    noisy = 3.0 + rng.normal(size=dense.size)
    noisy[::97] = np.nan

    at_s, found = together([(dense, {"a": noisy, "t": dense}), (sparse, {"b": sparse})])

    # Blocks of 100 readings: a tenth of the noise, and no reading nearer than others.
    assert np.std(found["a"]) == pytest.approx(0.1, rel=0.3)
    assert found["a"].mean() == pytest.approx(3.0, abs=0.05)
    assert found["t"] == pytest.approx(at_s, abs=1e-9)


def test_elements_of_a_detector_stay_together():
    fast, slow = np.arange(0.0, 10.0, 0.02), np.arange(0.5, 9.0)
    rois = np.stack([fast, 2 * fast], axis=1)

    _, found = together([(fast, {"rois": rois}), (slow, {"b": slow})])

    assert found["rois"].shape == (9, 2)
    assert found["rois"] == pytest.approx(np.stack([slow, 2 * slow], axis=1), abs=1e-9)


@pytest.mark.parametrize(
    "at_s",
    [
        [0, 1, 2, 2, 3, 4],
        [0, 1, 2, 99, 3, 4],
        [0, 1, 2, -99, 3, 4],
        [0, 1, 2, np.nan, 3, 4],
    ],
    ids=["repeated", "far ahead", "far back", "none"],
)
def test_a_row_out_of_time_is_left_out_alone(at_s):
    at_s = np.array(at_s, dtype=float)

    common, found = together([(at_s, {"row": np.arange(6.0)})])

    assert common.tolist() == [0, 1, 2, 3, 4]
    assert found["row"][3:].tolist() == [4, 5]


def test_up_and_down_are_not_mixed():
    at_s = np.arange(0.0, 20.0, 0.01)
    energy = 11564 + 100 * np.abs((at_s / 10) % 2 - 1)

    _, found = together([(at_s, {"energy": energy}), (at_s[::3], {"i0": at_s[::3]})])

    turn = int(np.argmin(found["energy"]))
    assert (np.diff(found["energy"][: turn + 1]) < 0).all()
    assert (np.diff(found["energy"][turn:]) > 0).all()


@pytest.mark.parametrize(
    "series",
    [
        [],
        [(np.array([0.0, 1.0]), {"a": np.ones(2)}), (np.empty(0), {"b": np.empty(0)})],
        [
            (np.array([0.0, 1.0]), {"a": np.ones(2)}),
            (np.array([5.0]), {"b": np.ones(1)}),
        ],
    ],
    ids=["no series", "an empty one", "no overlap"],
)
def test_without_a_common_time_there_are_no_rows(series):
    at_s, found = together(series)

    assert len(at_s) == 0
    assert set(found) == {name for _, columns in series for name in columns}
    assert all(len(column) == 0 for column in found.values())


any_number = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def any_series(draw):
    n = draw(st.integers(0, 40))
    at_s = draw(arrays(np.float64, n, elements=st.floats(0, 20) | st.just(np.nan)))
    return at_s, draw(arrays(np.float64, (n, 2), elements=any_number))


@given(st.lists(any_series(), min_size=1, max_size=3))
@settings(deadline=None)
def test_whatever_the_clocks_columns_come_out_as_long_as_time_rises(series):
    named = [(at_s, {str(i): column}) for i, (at_s, column) in enumerate(series)]

    at_s, found = together(named)

    assert (np.diff(at_s) > 0).all()
    assert all(found[str(i)].shape == (len(at_s), 2) for i in range(len(series)))


@given(st.permutations(range(3)), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_the_order_of_series_does_not_matter(order, seed):
    rng = np.random.default_rng(seed)
    series = [
        (np.sort(rng.uniform(0, 9, n)), {str(n): rng.normal(size=n)})
        for n in (20, 70, 300)
    ]

    at_s, found = together(series)
    again, shuffled = together([series[i] for i in order])

    assert np.array_equal(at_s, again)
    assert all(np.array_equal(found[name], shuffled[name]) for name in found)


# Clocks as at a fly-scanning beamline: 30 s for 1000 eV over the Pt L3 edge.

EDGE_EV, HALF_WIDTH_EV = 11564.0, 2.6  # core hole


def absorption(energy):
    """An edge of step 1 and a white line, as narrow as the core hole allows."""
    x = energy - EDGE_EV
    line = 0.5 * HALF_WIDTH_EV**2 / ((x - 3) ** 2 + HALF_WIDTH_EV**2)
    return 0.35 + 0.5 + np.arctan(x / HALF_WIDTH_EV) / np.pi + line


def uniform(at_s):
    return 11364.0 + 1000.0 * at_s / 30.0


def slow_at_the_edge(at_s):
    phase = 2 * np.pi * (at_s - 9.0) / 30.0
    return uniform(at_s) - 111.0 * (np.sin(phase) + 0.951)  # 10 eV/s at the edge


def flux(at_s):
    return 1e6 * (1 + 0.05 * np.sin(3 * at_s) + 0.005 * np.sin(2 * np.pi * 7 * at_s))


def ticking(hz, phase, rng):
    """Return times of a clock with a phase and 2 % of jitter."""
    n = int(30 * hz)
    return (np.arange(n) + phase + rng.normal(0, 0.02, n)) / hz


def recovered(trajectory, encoder_hz, frames_hz):
    """Return errors: of energy (eV), of μ in transmission and in fluorescence."""
    rng = np.random.default_rng(4)
    ion, position = ticking(1005, 0.37, rng), ticking(encoder_hz, 0.61, rng)
    i0 = flux(ion)
    it = i0 * np.exp(-absorption(trajectory(ion)))
    series = [
        (ion + BEGAN, {"i0": i0, "it": it}),
        (position + BEGAN, {"energy": trajectory(position)}),
    ]
    if frames_hz:
        opened = (np.arange(int(30 * frames_hz)) + 0.34) / frames_hz
        within = opened[:, None] + (np.arange(100) + 0.5) / 100 / frames_hz
        counts = (flux(within) * absorption(trajectory(within))).mean(axis=1)
        series.append((opened + 0.5 / frames_hz + BEGAN, {"if": counts}))
    at_s, found = together(series, smooth=("energy",))
    energy = trajectory(at_s - BEGAN)
    mu = absorption(energy)
    fluorescence = found["if"] / found["i0"] - mu if frames_hz else np.zeros(1)
    return (
        np.abs(found["energy"] - energy).max(),
        np.abs(np.log(found["i0"] / found["it"]) - mu).max(),
        np.abs(fluorescence).max(),
    )


@pytest.mark.parametrize("encoder_hz", [100, 250, 1000, 2500, 5000])
def test_ion_chambers_and_encoder_come_together_without_loss(encoder_hz):
    energy, transmission, _ = recovered(slow_at_the_edge, encoder_hz, 0)

    assert energy < 0.02
    assert transmission < 1e-4  # of the step, on rows 0.01 to 0.04 eV apart


@pytest.mark.parametrize("encoder_hz", [100, 250, 1000])
def test_a_spectrum_of_half_a_second_loses_nothing_between_its_rows(encoder_hz):
    """At 2000 eV/s, readings 2 eV apart: interpolated, they would be off by 8 %."""
    energy, transmission, _ = recovered(lambda s: uniform(60 * s), encoder_hz, 0)

    assert energy < 0.02
    assert transmission < 1e-4


@pytest.mark.parametrize("encoder_hz", [1000, 2500, 5000])
@pytest.mark.parametrize(
    ("trajectory", "limit"), [(slow_at_the_edge, 3e-4), (uniform, 1e-3)]
)
def test_frames_of_10_ms_widen_the_white_line_by_less_than_a_thousandth(
    trajectory, limit, encoder_hz
):
    """A uniform scan moves 0.33 eV per frame: 0.5 * 2 / 2.6² * 0.33² / 24 = 7e-4."""
    energy, transmission, fluorescence = recovered(trajectory, encoder_hz, 100)

    assert energy < 0.02
    assert transmission < limit
    assert fluorescence < limit
