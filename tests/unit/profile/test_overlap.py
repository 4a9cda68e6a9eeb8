import argparse

import pytest

from xasnn_stream.assembly.matching import choose
from xasnn_stream.assembly.settings import AssemblySettings, Energy, Lookup, Rule
from xasnn_stream.cli import check
from xasnn_stream.profile.overlap import overlaps


def profile(name: str, *match: Rule, reject: tuple[Rule, ...] = ()) -> AssemblySettings:
    return AssemblySettings(
        profile=name,
        match=match,
        reject=reject,
        element=Lookup(default="Pt"),
        edge=Lookup(default="L3"),
        energy=Energy("energy"),
        signals={},
    )


FLY = profile("fly", Rule("experiment", ("fly", "old_fly")))


@pytest.mark.parametrize(
    "other",
    [
        profile("same", Rule("experiment", ("old_fly", "new_fly"))),
        profile("also", Rule("experiment", exists=True)),
        profile("pattern", Rule("experiment", regex="(step|fly)")),
        profile("any", Rule("experiment", regex=".*fly")),
    ],
)
def test_profiles_that_take_the_same_runs_overlap(other):
    (found,) = overlaps([FLY, other])

    assert (found.first, found.second) == ("fly", other.profile)
    assert found.shared
    assert found.certain
    start = dict(found.values)
    assert choose(start, [FLY]) is FLY
    assert choose(start, [other]) is other


@pytest.mark.parametrize(
    "other",
    [
        profile("step", Rule("experiment", ("step",))),
        profile("without", Rule("experiment", exists=False)),
        profile("number", Rule("experiment", (1,))),
        profile(
            "rest",
            Rule("experiment", exists=True),
            reject=(Rule("experiment", ("fly", "old_fly")),),
        ),
        profile("below", Rule("experiment.kind", ("fly",))),
    ],
)
def test_profiles_that_no_run_fits_both_do_not_overlap(other):
    assert overlaps([FLY, other]) == []
    assert overlaps([other, FLY]) == []


def test_profiles_that_ask_about_different_things_may_meet():
    (found,) = overlaps([FLY, profile("xdi", Rule("XDI._kind", ("xafs",)))])

    assert not found.shared
    assert found.values == {"XDI._kind": "xafs", "experiment": "fly"}
    assert "fly and xdi would both take a run with" in str(found)


def test_expressions_that_cannot_be_compared_are_said_to_be_uncertain():
    one = profile("one", Rule("plan_name", regex="[a-m]+[0-9]{3}"))
    other = profile("other", Rule("plan_name", regex="[d-z]+[0-9]{3}"))

    (found,) = overlaps([one, other])

    assert not found.certain
    assert "might both take" in str(found)


def run_check(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    check.register(parser.add_subparsers())
    arguments = parser.parse_args(["check", *argv])
    return arguments.run(arguments)


def test_check_tells_which_of_the_profiles_given_overlap(tmp_path, capsys):
    site = tmp_path / "site.yaml"
    site.write_text("extends: iss-fly\n")

    assert run_check("iss-fly", str(site)) == 0

    *fine, overlap = capsys.readouterr().out.splitlines()
    assert fine == ["iss-fly: OK", f"{site}: OK"]
    assert overlap.startswith(
        "overlap: iss-fly and site would both take a run with experiment: fly_scan"
    )


def test_check_without_names_reads_all_that_are_shipped(capsys):
    assert run_check() == 0

    lines = capsys.readouterr().out.splitlines()
    shipped = ("bmm-step", "dls-fly", "iss-fly", "sim-quick", "sim-step")
    assert {f"{name}: OK" for name in shipped} <= set(lines)
    assert not [line for line in lines if line.startswith("overlap")]


def test_mistakes_of_one_profile_do_not_hide_those_of_the_next(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("extends: sim-step\ngird: {}\n")

    code = run_check(*(str(tmp_path / f"{name}.yaml") for name in ("one", "two")))

    assert code == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "gird: unknown key (did you mean grid?)"
    ] * 2
