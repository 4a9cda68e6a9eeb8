"""Every command of the page on libraries runs, with a stand-in for FEFF."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from xasnn_stream.cli.main import main

from .fake_feff import SCRIPT

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "libraries.md").read_text()
LINES = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)).splitlines()


def shown() -> list[tuple[str, list[str]]]:
    commands: list[tuple[str, list[str]]] = []
    for line in LINES:
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(" ".join(line.split()))
    return commands


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """A folder like a checkout, with a FEFF on the PATH."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    feff = tmp_path / "bin" / "feff10"
    feff.parent.mkdir()
    text = SCRIPT.replace("{python}", sys.executable).replace("{mode}", "good")
    feff.write_text(text.replace("{counter}", str(tmp_path / "counter")))
    feff.chmod(0o755)
    monkeypatch.setenv("PATH", f"{feff.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("XASNN_FEFF", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_page_does_what_it_says(desk, capsys):
    assert len(shown()) == 7
    for command, expected in shown():
        program, *arguments = shlex.split(command)
        assert program == "xasnn-stream"
        assert main(arguments) == 0, command
        printed = [
            " ".join(line.split()) for line in capsys.readouterr().out.splitlines()
        ]
        assert printed, command
        assert [line for line in expected if line not in printed] == []
    drawn = sorted(path.name for path in (desk / "pictures").iterdir())
    assert drawn == [f"Pt_L3-{what}.png" for what in ("differences", "foil", "sites")]
    assert (desk / "built" / "Pt_L3.work").is_dir()
