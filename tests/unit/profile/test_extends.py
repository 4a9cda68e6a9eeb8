import pytest
import yaml

from xasnn_stream.profile import check_profile, load_profile

BASE = {
    "match": [{"key": "experiment", "equals": "fly"}],
    "metadata": {"element": {"default": "Pt"}, "edge": {"default": "L3"}},
    "energy": {
        "kind": "bragg",
        "key": "encoder",
        "pulses_per_deg": 360000,
        "d_spacing": 3.1356,
    },
    "signals": {"i0": {"key": "i0"}, "it": {"key": "it"}, "if": {"key": "iff"}},
    "model": "pt-l3-xanes",
}


@pytest.fixture
def folder(tmp_path):
    """Write profiles by name into one folder."""

    def folder(**profiles) -> str:
        for name, values in profiles.items():
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
        return str(tmp_path)

    return folder


def test_sections_are_merged_and_lists_and_values_replaced(folder):
    site = {
        "extends": "./base.yaml",
        "match": [{"key": "hutch", "equals": "b"}],
        "energy": {"pulses_per_deg": {"paths": ["pulses"], "default": 26222.2}},
    }
    profile = load_profile(f"{folder(base=BASE, site=site)}/site.yaml")

    (rule,) = profile.assembly.match
    assert rule.key == "hutch"
    law = profile.assembly.energy.bragg
    assert law is not None
    assert law.counts_per_degree.paths == ("pulses",)
    assert law.counts_per_degree.default == 26222.2
    assert law.d_spacing.default == 3.1356
    assert profile.assembly.signals["i0"].key == "i0"


def test_a_profile_is_called_after_its_own_file_not_after_the_one_it_extends(folder):
    base = BASE | {"name": "base-name"}
    path = folder(base=base, site={"extends": "./base.yaml"})

    assert load_profile(f"{path}/site.yaml").name == "site"


def test_null_takes_a_key_away(folder):
    site = {"extends": "./base.yaml", "signals": {"if": None}}
    profile = load_profile(f"{folder(base=BASE, site=site)}/site.yaml")

    assert sorted(profile.assembly.signals) == ["i0", "it"]


def test_the_hash_is_that_of_the_resolved_profile(folder):
    site = {"extends": "./base.yaml", "name": "one", "mode": "fluorescence"}
    path = folder(base=BASE, site=site, whole=BASE | {"name": "one"})

    extending = load_profile(f"{path}/site.yaml")
    whole = load_profile(f"{path}/whole.yaml", {"mode": "fluorescence"})
    assert extending.sha256 == whole.sha256
    assert load_profile(f"{path}/whole.yaml").sha256 != whole.sha256


def test_shipped_profiles_are_extended_by_name_and_in_several_steps(folder):
    site = {"extends": "iss-fly", "energy": {"hc": 12400.0}}
    further = {"extends": "./site.yaml", "others": ["Au"]}
    profile = load_profile(f"{folder(site=site, further=further)}/further.yaml")

    law = profile.assembly.energy.bragg
    assert law is not None
    assert law.hc == 12400.0
    assert law.fold == "xor24"
    assert profile.engine.others == ("Au",)


def test_profiles_that_extend_each_other_are_refused(folder):
    path = folder(a={"extends": "./b.yaml"}, b={"extends": "./a.yaml"})

    (mistake,) = check_profile(f"{path}/a.yaml")

    assert mistake == (
        "extends: profiles extend each other: a.yaml extends b.yaml extends a.yaml"
    )


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("iss-flyy", "did you mean iss-fly?"),
        ("./nowhere.yaml", "nowhere.yaml: No such file"),
        (7, "extends: must be a name or path, not 7"),
        (["iss-fly"], "extends: must be a name or path"),
    ],
)
def test_a_profile_that_extends_nothing_is_refused(folder, base, says):
    (mistake,) = check_profile(f"{folder(site={'extends': base})}/site.yaml")

    assert says in mistake


def test_extends_cannot_be_set_for_one_start():
    assert any(
        "extends" in m for m in check_profile("sim-step", {"extends": "iss-fly"})
    )
