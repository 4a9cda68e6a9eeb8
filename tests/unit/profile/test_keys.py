"""What keys of runs become for assembly, and which mistakes in them are named."""

import math

import pytest

from xasnn_stream.assembly.settings import (
    Bragg,
    Clock,
    Condition,
    Energy,
    Lookup,
    Quantity,
    Segment,
    Signal,
    Stream,
)
from xasnn_stream.profile import check_profile, load_profile


def assembly(changes, name="sim-step"):
    return load_profile(name, changes).assembly


@pytest.mark.parametrize(
    ("given", "quantity"),
    [
        (12.5, Quantity(default=12.5)),
        ("dark.i0", Quantity(("dark.i0",), math.nan)),
        ({"path": "dark", "factor": -1.0}, Quantity(("dark",), math.nan, factor=-1.0)),
        (
            {"paths": ["a", "descriptor.apb.b"], "default": 3.0},
            Quantity(("a", "descriptor.apb.b"), 3.0),
        ),
    ],
)
def test_a_quantity_is_a_number_a_path_or_both(given, quantity):
    assert assembly({"signals.i0.offset": given}).signals["i0"].offset == quantity


def test_a_reading_has_unit_gain_polarity_and_an_offset_in_a_unit_of_its_own():
    changes = {
        "signals.i0": {
            "key": "i0",
            "unit": "uV",
            "polarity": -1,
            "offset": {"path": "ch1_offset", "default": 2.0},
            "offset_unit": "mV",
            "gain_log10": "ch1_amp_gain",
            "saturation": {"above": 3200, "unit": "mV"},
        }
    }
    profile = load_profile("sim-step", changes)

    assert profile.assembly.signals["i0"] == Signal(
        "i0",
        Quantity(("ch1_offset",), 2000.0, 1000.0),
        scale=-1e-6,
        gain_log10=Quantity(("ch1_amp_gain",)),
    )
    assert profile.engine.ranges == {"i0": (0.0, 3.2e6)}


def test_a_signal_without_an_upper_limit_is_never_saturated():
    changes = {"signals.it.saturation": {"below": 20.0}}

    assert load_profile("sim-step", changes).engine.ranges == {"it": (20.0, math.inf)}


def test_elements_of_a_detector_are_numbered_in_its_key():
    given = {"key": "{element}_{n}", "elements": [1, 3], "keys_from": "XDI._dtc"}
    found = assembly({"signals.if": given | {"exclude": [1]}}).signals["if"]

    assert found.keys == ("{element}_1", "{element}_3")
    assert (found.keys_from, found.exclude) == ("XDI._dtc", (1,))


def test_clocks_have_units():
    streams = {
        "a": {"stream": "a", "clock": {"column": "t"}},
        "b": {"stream": "b", "clock": {"split": ["s", "f"]}},
        "c": {"stream": "c", "clock": {"column": "t", "unit": "ms", "epoch": False}},
        "d": {"stream": "d", "clock": {"trigger_edges": {"from": "a", "at": "rise"}}},
        "e": {"stream": "e", "clock": {"trigger_edges": {"from": "a"}, "unit": "ms"}},
        "primary": {"stream": {"by": "hutch", "values": {"b": "x"}}, "decoder": "APB"},
    }
    found = assembly({"streams": streams}).streams

    assert found["a"].clock == Clock("column", "t")
    assert found["b"].clock == Clock("split", "s", "f", 1e-9)
    assert found["c"].clock == Clock("column", "t", unit_s=1e-3, epoch=False)
    assert found["d"].clock == Clock("edges", pulses="a", at="rise")
    assert found["e"].clock == Clock("edges", pulses="a", unit_s=1e-3)
    assert found["primary"] == Stream("", "hutch", {"b": "x"}, "APB")


def test_an_energy_is_a_column_a_shared_array_or_a_law():
    array = {"kind": "array", "stream": "bins", "key": "centers", "unit": "keV"}
    assert assembly({"energy": array}).energy == Energy(
        "centers", "bins", "keV", shared=True
    )
    law = {"kind": "bragg", "key": "enc", "pulses_per_deg": "ppd", "d_spacing": 3.1}
    assert assembly({"energy": law}).energy.bragg == Bragg(
        Quantity(("ppd",), default=math.nan), Quantity(default=3.1)
    )


def test_a_site_that_has_energies_leaves_an_inherited_law_alone():
    changes = {"energy.kind": "column", "energy.key": "energy"}

    assert assembly(changes, "dls-fly").energy.bragg is None


def test_conditions_come_from_paths_or_streams_and_temperatures_in_kelvin():
    monitor = {"stream": "furnace", "key": "t", "unit": "degC", "interp": "hold"}
    changes = {"conditions": {"t": monitor, "v": "a.b", "w": {"paths": ["c", "d"]}}}

    assert assembly(changes).conditions == {
        "t": Condition(stream="furnace", key="t", interp="hold", zero=273.15),
        "v": Condition(Quantity(("a.b",))),
        "w": Condition(Quantity(("c", "d"))),
    }


def test_texts_are_cut_and_translated():
    edge = {"paths": ["edge"], "regex": "[A-Za-z]+_(.*)"}
    mode = {"paths": ["mode"], "values": {"trans": "transmission"}}
    found = assembly({"metadata.edge": edge, "metadata.mode": mode})

    assert found.edge == Lookup(("edge",), pattern="[A-Za-z]+_(.*)")
    assert found.mode == Lookup(("mode",), values={"trans": "transmission"})
    assert found.e0 == Lookup()


def test_a_segment_has_the_defaults_of_assembly():
    assert assembly({}).segment == Segment()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"signals.i0.offset": {"path": "a", "paths": ["b"]}}, "not both"),
        ({"signals.i0.offset": {"factor": 2.0}}, "needs path, paths or a default"),
        ({"signals.i0.key": "{edge}1"}, "'{edge}1': {edge} is not {element}"),
        ({"signals.i0.key": "{element"}, "'{element': { is not {element}"),
        ({"signals.i0.key": "ch{n}"}, "elements and a key with {n} need one another"),
        ({"signals.i0.elements": [1]}, "elements and a key with {n} need one another"),
        ({"signals.i0.expression": "a + b"}, "needs key, or keys"),
        (
            {"signals.i0": {"expression": "a if b else c"}},
            "signals.i0.expression: ",
        ),
        ({"signals.i0": {"expression": "2 * 3"}}, "signals.i0.expression: "),
        ({"signals.i0.offset_unit": "mV"}, "offset_unit mV is no unit of a reading"),
        ({"signals.i0.unit": "nA", "signals.i0.offset_unit": "mV"}, "reading in nA"),
        ({"signals.i0.polarity": 0}, "signals.i0.polarity: input should be -1 or 1"),
        ({"signals.i0.saturation": {}}, "signals.i0.saturation: needs above, below"),
        (
            {"signals.i0.saturation": {"above": 1, "below": 2}},
            "below (2.0) must be less than above",
        ),
        (
            {"energy": {"kind": "bragg", "key": "a", "d_spacing": 0}},
            "energy.d_spacing: cannot be 0",
        ),
        (
            {"energy.pulses_per_deg": {"path": "a", "default": 0}},
            "energy.pulses_per_deg: cannot be 0",
        ),
        ({"streams": {"a": {"stream": "a"}}}, "'primary' is none of streams: a"),
        (
            {
                "streams.primary.stream": "primary",
                "streams.primary.clock": {"trigger_edges": {"from": "pulse"}},
            },
            "streams.primary.clock: 'pulse' is none of streams",
        ),
        ({"streams": {"primary": {"stream": 3}}}, "streams.primary.stream: must be a"),
        (
            {"streams": {"primary": {"stream": {"by": "hutch"}}}},
            "streams.primary.stream.values: is required",
        ),
        (
            {"streams": {"primary": {"stream": "p", "clock": {"unit": "s"}}}},
            "needs one of column, split or trigger_edges",
        ),
        (
            {"streams": {"primary": {"stream": "p", "decoder": "xspres3"}}},
            "streams.primary.decoder: there is no decoder 'xspres3' (did you mean "
            "xspress3?)",
        ),
        (
            {"segment.kind": "per_event", "signals.it.stream": "other"},
            "segment.kind per_event needs all signals in the stream of the energy, "
            "primary, not signals.it.stream other",
        ),
        (
            {"signals.i0": {"expression": "a + b", "exclude": [1]}},
            "signals.i0: exclude goes with key or keys, not with expression",
        ),
        (
            {
                "energy": {
                    "kind": "bragg",
                    "key": "a",
                    "unit": "keV",
                    "pulses_per_deg": 1,
                    "d_spacing": 3.1,
                }
            },
            "energy: unit keV is that of a column or array; bragg makes eV",
        ),
        ({"energy": 7}, "energy: must be a section of keys, not 7"),
        ({"energy.kind": "bragg"}, "bragg needs pulses_per_deg and d_spacing"),
        ({"energy.pulses_per_deg": 9}, "pulses_per_deg is of use only with kind"),
        ({"segment.kind": "fixed_count"}, "fixed_count needs points, 2 or more"),
        ({"segment.hysteresis_ev": 0}, "segment.hysteresis_ev: input should be"),
        ({"conditions.t": {"stream": "a"}}, "stream and key need one another"),
        ({"conditions.t": {"key": "a"}}, "needs paths, or stream and key"),
        ({"conditions.t": 5}, "conditions.t: must be a dotted path, or a section"),
        ({"metadata.mode": {"default": "yield"}}, "'yield' is no mode"),
        (
            {"metadata.mode": {"paths": ["m"], "values": {"a": "yield"}}},
            "'yield' is no mode",
        ),
        ({"metadata.edge.regex": "(a)(b)"}, "needs one group"),
        ({"metadata.edge.regex": "L3"}, "needs one group"),
        ({"metadata.edge.regex": "("}, "is no regular expression"),
    ],
)
def test_a_mistake_is_named_with_its_place(changes, says):
    mistakes = check_profile("sim-step", changes)

    assert any(says in mistake for mistake in mistakes), mistakes


RATES = {
    f"signals.{role}": {"keys": [f"{role}1", f"{role}2"], "exclude": [1]}
    for role in ("if", "icr", "ocr")
} | {"cleaning.dead_time": "icr_ocr"}


def test_rates_leave_out_the_elements_that_counts_leave_out():
    assert check_profile("sim-step", RATES) == []
    (mistake,) = check_profile("sim-step", RATES | {"signals.icr.exclude": []})
    assert mistake == (
        "cleaning.dead_time icr_ocr needs if, icr and ocr, of as many elements and with "
        "the same exclude"
    )


def test_elements_are_excluded_only_where_there_are_such():
    keys = {"keys": ["a", "b", "c"]}
    for exclude, says in (
        ([0, 3], "exclude 3: there are 3 elements, counted from 0"),
        ([0, 1, 2], "exclude leaves no element"),
    ):
        changes = {"signals.if": keys | {"exclude": exclude}}
        assert check_profile("sim-step", changes) == [f"signals.if: {says}"]
    listed = keys | {"exclude": [3], "keys_from": "XDI._dtc"}
    assert check_profile("sim-step", {"signals.if": listed}) == []
    of_arrays = {"key": "roi", "exclude": [3]}
    assert check_profile("sim-step", {"signals.if": of_arrays}) == []


def test_only_a_counting_detector_has_elements():
    mistakes = check_profile("sim-step", {"signals.it": {"keys": ["a", "b"]}})

    assert mistakes == [
        "signals.it: only if, icr and ocr are of several elements; an expression adds "
        "columns"
    ]


def test_contradictions_are_listed_together():
    several = {"segment.kind": "per_event", "signals.it.stream": "other"}

    mistakes = check_profile("sim-step", RATES | several | {"signals.icr.exclude": [0]})

    assert [mistake.split()[0] for mistake in mistakes] == [
        "cleaning.dead_time",
        "segment.kind",
    ]
    dwell = {"key": "dwell", "optional": True}
    counted = {"signals.i0.counts_per_unit": 2.0, "signals.dwell": dwell}
    (mistake,) = check_profile("sim-step", counted)
    assert "counts_per_unit" in mistake
    assert "dwell cannot be optional" in mistake


def test_every_stream_that_is_not_there_is_named_beside_other_mistakes():
    changes = {
        "energy.hc": -1,
        "signals.i0.stream": "chamber",
        "signals.it.stream": "cell",
        "streams.encoder.clock": {"trigger_edges": {"from": "pulses"}},
    }

    mistakes = check_profile("iss-fly", changes)

    known = "is none of streams: chambers, encoder"
    assert mistakes[0].startswith("energy.hc: ")
    assert mistakes[1:] == [
        f"signals.i0.stream: 'chamber' {known}",
        f"signals.it.stream: 'cell' {known}",
        f"streams.encoder.clock: 'pulses' {known}",
    ]


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (
            "encodr",
            "is none of streams (did you mean encoder?); if a stream of the "
            "run has this name, give it in streams as well",
        ),
        ("encoder", None),
        ("pb9_enc1", None),
        ("encoder_monitor", None),
    ],
)
def test_a_condition_may_name_a_stream_of_the_run_but_hardly_misspells_one(
    stream, says
):
    changes = {"conditions.t": {"stream": stream, "key": "value"}}

    mistakes = check_profile("iss-fly", changes)

    assert bool(mistakes) == bool(says)
    assert all(m.startswith("conditions.t.stream: ") and says in m for m in mistakes)


@pytest.mark.parametrize("odd", [None, 3, "a", [], ["a"], {"a": None}, {1: 2}])
@pytest.mark.parametrize("section", ["streams", "energy", "signals"])
def test_sections_of_another_kind_are_mistakes_as_well(section, odd):
    assert check_profile("iss-fly", {section: odd})
