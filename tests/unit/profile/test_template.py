import re
from collections.abc import Iterator

import yaml

from xasnn_stream.profile import check_profile, load_profile, shipped_profiles
from xasnn_stream.profile.model import ProfileModel
from xasnn_stream.profile.section import Section
from xasnn_stream.shipped import shipped_folder

TEMPLATE = shipped_folder("profiles") / "template.yaml"
DEFAULTS = ("reference_first", "cleaning", "quality", "grid")
"""Sections whose template says the defaults."""


def keys() -> Iterator[str]:
    yield "extends"
    for section in Section.__subclasses__():
        for name, field in section.model_fields.items():
            yield field.alias or name


def test_the_template_is_a_valid_profile():
    assert check_profile(str(TEMPLATE)) == []


def test_the_template_is_to_be_copied_and_reads_no_runs():
    (mistake,) = check_profile("template")

    assert mistake.startswith("template is to be copied: it shows every key")
    assert "template" not in shipped_profiles()


def test_the_template_shows_every_key():
    shown = set(re.findall(r"([a-z0-9_]+):", TEMPLATE.read_text()))

    assert set(keys()) <= shown


def test_the_template_shows_the_defaults_it_promises():
    given = yaml.safe_load(TEMPLATE.read_text())
    without = {key: value for key, value in given.items() if key not in DEFAULTS}
    shown, made = map(ProfileModel.model_validate, (given, without))

    for section in DEFAULTS:
        assert getattr(made, section) == getattr(shown, section)


def test_what_the_template_shows_reaches_assembly():
    assembly = load_profile(str(TEMPLATE)).assembly

    assert assembly.signals["if"].keys == tuple(f"roi_ch{n}" for n in (1, 2, 3, 4))
    assert assembly.signals["if"].exclude == (2,)
    i0 = assembly.signals["i0"]
    assert (i0.scale, i0.offset.factor) == (-1e-6, 1000.0)
    assert load_profile(str(TEMPLATE)).engine.ranges == {"i0": (2e4, 3.2e6)}
    assert assembly.streams["detector"].clock.pulses == "pulses"
    assert assembly.streams["chambers"].names == {"b": "chambers_b", "c": "chambers_c"}
    assert assembly.conditions["temperature_k"].zero == 273.15
