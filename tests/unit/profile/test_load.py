import argparse
from dataclasses import asdict

import pytest
import yaml

from xasnn_stream.assembly.settings import Condition, Quantity, Rule, Signal
from xasnn_stream.cli import check
from xasnn_stream.engine.settings import Cleaning, EngineSettings, Grid, QualityLimits
from xasnn_stream.errors import ProfileError
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.profile import (
    check_profile,
    load_profile,
    parse_overrides,
    shipped_profiles,
)
from xasnn_stream.profile.physics import (
    CleaningModel,
    GridModel,
    NormalizationModel,
    QualityModel,
)
from xasnn_stream.profile.section import Section

SMALL = {
    "match": [{"key": "plan_name", "equals": "xas"}],
    "metadata": {"element": {"default": "Pt"}, "edge": {"paths": ["edge"]}},
    "energy": {"key": "energy"},
    "signals": {"i0": {"key": "I0"}, "it": {"key": "It"}},
    "model": "pt-l3-xanes",
}


@pytest.fixture
def written(tmp_path):
    """Write a profile with some keys changed; return its path."""

    def written(text: str | None = None, **changes) -> str:
        path = tmp_path / "beamline.yaml"
        path.write_text(yaml.safe_dump(SMALL | changes) if text is None else text)
        return str(path)

    return written


def test_the_shipped_profiles_are_valid():
    names = shipped_profiles()

    assert {"bmm-step", "iss-fly", "dls-fly", "sim-step", "sim-quick"} <= set(names)
    for name in names:
        assert check_profile(name) == []
        assert load_profile(name).name == name


def test_the_simulated_step_scan_is_read_as_documented():
    profile = load_profile("sim-step")

    assert profile.assembly.match == (Rule("plan_name", any_of=("xas_step_scan",)),)
    assert profile.assembly.energy.key == "mono_energy"
    assert profile.assembly.signals["i0"] == Signal("i0", Quantity(("dark.i0",)))
    assert profile.assembly.signals["ir"].optional
    assert profile.assembly.conditions == {
        "temperature_k": Condition(Quantity(("temperature_k",)))
    }
    assert profile.engine.profile_sha256 == profile.sha256
    assert profile.engine.reference_first == "deployment"
    assert profile.model == "pt-l3-xanes"


def test_what_is_not_given_has_the_defaults_of_the_engine(written):
    profile = load_profile(written())

    assert profile.name == "beamline"
    assert profile.engine == EngineSettings("beamline", profile.sha256)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (CleaningModel(), Cleaning()),
        (NormalizationModel(), Normalization()),
        (QualityModel(), QualityLimits()),
        (GridModel(), Grid()),
    ],
)
def test_a_section_has_the_keys_and_defaults_of_its_settings(model, settings):
    assert model.model_dump() == asdict(settings)


def test_every_key_is_described():
    def undescribed(model):
        for name, field in model.model_fields.items():
            if not field.description:
                yield f"{model.__name__}.{name}"

    models = Section.__subclasses__()
    assert [name for model in models for name in undescribed(model)] == []


def test_all_mistakes_are_listed_at_once(written):
    path = written(
        energy={"kee": "energy"},
        quality={"min_points": "many"},
        normalization={"pre1": -30, "pre2": -150, "nnorm": 4},
        metadata={"element": {"default": "Xx"}, "edge": {"paths": ["edge"]}},
        match=[{"key": "plan_name", "regex": "("}],
        signals={"i0": {"key": "I0"}},
    )

    with pytest.raises(ProfileError) as refused:
        load_profile(path)

    mistakes = check_profile(path)
    assert sorted(mistakes) == sorted(
        line.strip() for line in str(refused.value).splitlines()[1:]
    )
    for expected in (
        "energy.key: is required",
        "energy.kee: unknown key (did you mean key?)",
        "quality.min_points: input should be a valid integer, not 'many'",
        "normalization.pre2: -150.0 must be above pre1 (-30.0)",
        "normalization.nnorm: input should be less than or equal to 3, not 4",
        "metadata.element: 'Xx' is no element",
        "signals: transmission needs it, not optional",
    ):
        assert expected in mistakes
    assert any(m.startswith("match.0.regex: '(' is no regular") for m in mistakes)
    assert len(mistakes) == 8


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("signals.i0.offset", [1], "signals.i0.offset: must be a number or"),
        ("signals.i0.offset", "a..b", "'a..b' is no dotted path"),
        ("signals.i0.offset", float("nan"), "must be finite"),
        ("signals.if", {"key": ""}, "signals.if.key: string should have at least"),
        ("signals.mu", {"key": "x"}, "'ocr' or 'dwell', not 'mu'"),
        ("mode", "fluorescence", "fluorescence needs if"),
        ("match", [], "match: list should have at least 1 item"),
        ("match.0.equals", None, "match.0: needs equals, in, regex or exists"),
        ("match", [{"key": "a"}], "match.0: needs equals, in, regex or exists"),
        ("match.0.equals", {"a": 1}, "match.0.equals: must be a text, a number"),
        ("metadata.edge", {}, "metadata.edge: needs paths, a default, or both"),
        ("metadata.edge.default", "L9", "'L9' is no edge"),
        ("grid.step", 0, "grid.step: input should be greater than 0, not 0"),
        ("grid.step", 1e-5, "grid.step: 1e-05 makes 1.5e+07 energies, more than"),
        ("grid.stop", -50, "grid.stop: -50.0 must be above start"),
        ("model", "../secret", "model: string should match pattern"),
        ("others", ["Au", "Xx"], "others.1: 'Xx' is no element"),
        (
            "cleaning.jumps",
            "mend",
            "cleaning.jumps: input should be 'flag' or 'repair'",
        ),
        ("signals.i0", {}, "signals.i0: needs key, or keys"),
        ("signals.i0", {"key": "a", "keys": ["b"]}, "signals.i0: needs key, or keys"),
        ("cleaning.dead_time", "icr_ocr", "cleaning.dead_time icr_ocr needs if, icr"),
        (
            "signals.i0.counts_per_unit",
            2.0,
            "signals: counts_per_unit: give it for i0 and it, or for none",
        ),
        ("signals.i0.counts_per_unit", 0, "input should be greater than 0, not 0"),
        (
            "signals.dwell",
            {"key": "dwell", "optional": True},
            "signals: dwell cannot be optional",
        ),
        ("cleaning.rebin", "yes", "cleaning.rebin: input should be a valid"),
        ("signals.i0.exclude", [-1], "signals.i0.exclude.0: input should be greater"),
        (
            "cleaning.excluded",
            [1],
            "cleaning.excluded: unknown key; elements are left out by exclude of the "
            "signal, as in signals.if.exclude",
        ),
        ("cleaning.deglitch", "no", "cleaning.deglitch: input should be a valid"),
        ("quality.max_noise", True, "quality.max_noise: input should be a valid"),
    ],
)
def test_a_mistake_is_named_with_its_place(written, key, value, says):
    mistakes = check_profile(written(), {key: value})

    assert any(says in mistake for mistake in mistakes), mistakes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: a\nmodel: b\n", "the key 'model' stands twice"),
        ("energy: {key: a, key: b}\n", "the key 'key' stands twice"),
        ("a: [", "is not YAML"),
        ("- 1\n", "holds no keys and values"),
        (f"a: {'[' * 3000}", "is nested too deeply"),
        ("a: !!python/object/apply:os.getcwd []\n", "is not YAML"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(written, text, says):
    (mistake,) = check_profile(written(text))

    assert says in mistake


def test_an_unknown_name_suggests_the_nearest():
    (mistake,) = check_profile("sim-stpe")

    assert "did you mean sim-step?" in mistake
    assert check_profile("no/such.yaml") == [
        "cannot read no/such.yaml: No such file or directory"
    ]


def test_overrides_change_the_profile_and_its_hash():
    plain = load_profile("sim-step")
    overrides = parse_overrides(["normalization.nnorm=2", "match.0.equals=other"])

    changed = load_profile("sim-step", overrides)

    assert changed.engine.normalization.nnorm == 2
    assert changed.assembly.match[0].any_of == ("other",)
    assert changed.sha256 != plain.sha256
    assert load_profile("sim-step").sha256 == plain.sha256
    same = load_profile("sim-step", {"normalization.nnorm": 1})
    assert same.sha256 == plain.sha256


@pytest.mark.parametrize("setting", ["model", "=1", "model=[", "model={a: 1, a: 2}"])
def test_an_override_that_cannot_be_read_is_refused(setting):
    with pytest.raises(ProfileError, match="--set"):
        parse_overrides([setting])


@pytest.mark.parametrize("key", ["match.7.equals", "model.name", "match.first.key"])
def test_an_override_of_no_place_is_refused(key):
    (mistake,) = check_profile("sim-step", {key: 1})

    assert "has no such place" in mistake


def test_the_hash_does_not_depend_on_the_order_of_keys_or_on_spelling(written):
    first = load_profile(written())
    second = load_profile(written(yaml.safe_dump(SMALL, sort_keys=False)))
    spelled = load_profile(written(grid={"start": -30, "stop": 120.0, "step": 0.5}))

    assert first.sha256 == second.sha256 == spelled.sha256


def test_a_detector_of_several_elements_is_a_list_of_keys(written):
    elements = {"keys": ["xs1", "xs2"], "offset": 5}
    rates = {"icr": {"keys": ["in1", "in2"]}, "ocr": {"keys": ["out1", "out2"]}}
    profile = load_profile(
        written(
            mode="fluorescence",
            signals={"i0": {"key": "I0"}, "if": elements, **rates},
            cleaning={"dead_time": "icr_ocr"},
        )
    )

    assert profile.assembly.signals["if"] == Signal(
        "xs1", Quantity(default=5.0), more=("xs2",)
    )
    assert profile.assembly.signals["ocr"].keys == ("out1", "out2")
    assert profile.engine.cleaning == Cleaning(dead_time="icr_ocr")


def test_rules_become_plain_conditions(written):
    rules = [
        {"key": "a", "in": [1, "x"]},
        {"key": "b", "regex": "x.*", "exists": True},
        {"key": "c", "equals": 3, "in": [3, 4]},
    ]

    assembly = load_profile(written(match=rules)).assembly

    assert assembly.match == (
        Rule("a", any_of=(1, "x")),
        Rule("b", regex="x.*", exists=True),
        Rule("c", any_of=(3,)),
    )


def run_check(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    check.register(parser.add_subparsers())
    arguments = parser.parse_args(["check", *argv])
    return arguments.run(arguments)


def test_check_prints_ok_or_every_mistake(written, capsys):
    assert run_check("sim-step") == 0
    assert capsys.readouterr().out == "sim-step: OK\n"

    assert run_check("sim-step", "--set", "energy.kee=1", "--set", "grid.step=-1") == 2
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_a_profile_knows_of_counts_and_bins_reaches_the_engine():
    gains = {"signals.i0.counts_per_unit": 500.0, "signals.it.counts_per_unit": 250}
    given = load_profile("sim-step", gains | {"cleaning.rebin": True}).engine
    assert given.counts_per_unit == {"i0": 500.0, "it": 250.0}
    assert given.cleaning.rebin
    shipped = load_profile("sim-step").engine
    assert (shipped.counts_per_unit, shipped.cleaning.rebin) == ({}, False)
