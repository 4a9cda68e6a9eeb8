"""The page about profiles, done as it says: its files, its commands, what they print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from xasnn_stream.profile import check_profile, load_profile
from xasnn_stream.shipped import model_folder

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "profiles.md"
BLOCK = re.compile(r"```(console|yaml)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder after the page, and per command what the page shows and what it said."""
    if not (model_folder("pt-l3-xanes") / "manifest.json").exists():
        pytest.skip("the model pt-l3-xanes is not trained in this checkout")
    folder = tmp_path_factory.mktemp("beamline")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "docs").symlink_to(ROOT / "docs")
    said: dict[str, tuple[str, str]] = {}
    for kind, block in BLOCK.findall(PAGE.read_text()):
        if kind == "yaml":
            name = block.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(block)
            continue
        for step in block.replace("\\\n", " ").split("$ ")[1:]:
            command, _, shown = step.partition("\n")
            words = command.replace(" doctor ", " doctor --feed none --http none ")
            ran = subprocess.run(
                ["sh", "-c", words],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
            said[command] = (shown, ran.stdout)
    return folder, said


def of(said, word):
    (found,) = [pair for command, pair in said.items() if f" {word} " in command]
    return found


def test_commands_print_what_the_page_shows(done):
    _, said = done

    shown = {command: pair for command, pair in said.items() if pair[0]}
    assert len(shown) == 1
    for expected, printed in shown.values():
        assert printed == expected


def test_the_sweeps_up_come_out_with_their_numbers_in_the_run(done):
    _, said = done

    head, *lines = of(said, "replay")[1].splitlines()
    assert head.split()[:3] == ["scan", "sample", "verdict"]
    assert len(lines) == 2
    assert re.match(r"\s+\d+ ", lines[0])
    assert re.match(r"\s*\d+/2 ", lines[1])


def test_the_doctor_finds_all_ends_well(done):
    _, said = done

    states = [line.split()[0] for line in of(said, "doctor")[1].splitlines()]
    assert states == ["OK"] * 6


def test_all_profiles_of_the_page_are_valid(done):
    folder, _ = done

    names = sorted(path.name for path in folder.glob("*.yaml"))
    assert names == [
        "energies.yaml",
        "expression.yaml",
        "fluorescence.yaml",
        "my-beamline.yaml",
        "two-hutches.yaml",
    ]
    for name in names:
        assert check_profile(str(folder / name)) == []


def test_the_profiles_of_the_page_say_what_it_says(done):
    folder, _ = done

    def loaded(name):
        return load_profile(str(folder / f"{name}.yaml")).assembly

    site = loaded("my-beamline")
    assert site.segment.direction == "up"
    assert site.conditions["temperature_k"].zero == 0.0
    hutches = loaded("two-hutches").streams["chambers"]
    assert (hutches.by, hutches.names["c"]) == ("hutch", "apb_stream_c")
    detector = loaded("fluorescence").signals["if"]
    assert detector.keys[-1] == "xs_ch04_roi01"
    assert (detector.scale, detector.offset.paths) == (1.0, ())
    assert loaded("expression").signals["it"].expression == "{it} - 0.02 * i0"
    energies = loaded("energies").energy
    assert (energies.bragg, energies.key, energies.unit) == (None, "energy", "keV")
