import argparse
import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from xasnn_stream.cli import schema as command
from xasnn_stream.schema import SCHEMAS, markdown, schema
from xasnn_stream.shipped import shipped_folder

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_the_one_that_is_made(name):
    committed = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())

    assert committed == schema(name), (
        f"run: xasnn-stream schema {name} > docs/schemas/{name}.json"
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_describes_every_field(name):
    made = schema(name)
    Draft202012Validator.check_schema(made)

    sections = [made, *made["$defs"].values()]
    undescribed = [
        key
        for section in sections
        for key, field in section.get("properties", {}).items()
        if not field.get("description")
    ]
    assert undescribed == []


@pytest.mark.parametrize(
    "path", sorted(shipped_folder("profiles").glob("*.yaml")), ids=lambda p: p.stem
)
def test_shipped_profiles_fit_the_schema(path):
    validator = Draft202012Validator(schema("profile"))

    assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize(
    "mistaken",
    [
        {"modle": "pt-l3-xanes"},
        {"energy": {"kind": "brag"}},
        {"signals": {"mu": {"key": "mu"}}},
        {"match": [{"equals": "x"}]},
        {"streams": {"a": {"stream": 7}}},
        {"conditions": {"t": 300.0}},
    ],
)
def test_what_is_no_profile_does_not_fit_the_schema(mistaken):
    validator = Draft202012Validator(schema("profile"))

    assert list(validator.iter_errors(mistaken))


def test_the_short_forms_of_numbers_fit_the_schema():
    validator = Draft202012Validator(schema("profile"))
    site = {
        "extends": "iss-fly",
        "energy": {"pulses_per_deg": 26222.2, "offset": "angle_offset"},
        "signals": {"i0": {"offset": {"path": "dark", "factor": 2.0}}},
        "conditions": {"t": "temperature"},
        "streams": {"a": {"stream": {"by": "hutch", "values": {"b": "x"}}}},
    }

    assert list(validator.iter_errors(site)) == []


def test_estimates_fit_the_schema(make_estimate):
    document = json.loads(json.dumps(make_estimate().document()))
    validator = Draft202012Validator(schema("estimate"))

    assert list(validator.iter_errors(document)) == []
    assert list(validator.iter_errors(document | {"verdict": "fine"}))
    assert list(validator.iter_errors(document | {"run": {}}))


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_page_is_the_one_that_is_made(name):
    committed = (ROOT / "docs" / "schemas" / f"{name}.md").read_text()

    assert committed == markdown(name), (
        f"run: xasnn-stream schema {name} --markdown > docs/schemas/{name}.md"
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_page_has_a_row_for_every_key_of_every_section(name):
    made = schema(name)
    rows = [line.split("`")[1] for line in markdown(name).splitlines() if "| `" in line]

    sections = [made, *made["$defs"].values()]
    expected = [key for section in sections for key in section["properties"]]
    assert sorted(rows) == sorted(expected)


def test_the_command_prints_both_forms(capsys):
    def printed(*words):
        parser = argparse.ArgumentParser()
        command.register(parser.add_subparsers())
        arguments = parser.parse_args(["schema", *words])
        assert arguments.run(arguments) == 0
        return capsys.readouterr().out

    assert json.loads(printed("profile")) == schema("profile")
    assert printed("estimate", "--markdown") == markdown("estimate")
