"""Commands of the pages do what the pages show."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from xasnn_stream.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = ("first-hour-with-files.md", "how-an-estimate-is-made.md", "normalize.md")
MEASURED = ROOT.parent / "shared" / "xas-data" / "raw"
FILES = {
    "PtData.prj": MEASURED / "nanoparticles" / "PtData.prj",
    "pt_metal_rt.xdi": MEASURED / "foils" / "pt_metal_rt.xdi",
}
"""Measured files the page names but the repository does not hold."""

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def shown() -> list[tuple[str, list[str]]]:
    """Return every command of the pages with the lines shown beneath it."""
    commands: list[tuple[str, list[str]]] = []
    pages = "".join((ROOT / "docs" / page).read_text() for page in PAGES)
    for line in "".join(BLOCK.findall(pages)).splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return [each for each in commands if not each[0].startswith("make ")]


def printed(command: str) -> list[str]:
    """Run a command here; return what it prints, standard error among it."""
    program, *arguments = shlex.split(command)
    assert program == "xasnn-stream"
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        main(arguments)
    return output.getvalue().splitlines()


@pytest.mark.parametrize(("command", "lines"), shown(), ids=[c for c, _ in shown()])
def test_a_shown_command_prints_what_is_shown(command, lines, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    for name, source in FILES.items():
        if name in command and not source.exists():
            pytest.skip(f"no measured file beside the checkout: {source}")
        if name in command:
            shutil.copy(source, tmp_path)
    monkeypatch.chdir(tmp_path)
    found = printed(command)
    # Blanks follow the width of numbers, and the last digit may differ by one where
    # another processor rounds otherwise.
    words = [" ".join(NUMBER.sub("0", line).split()) for line in found]
    assert words == [" ".join(NUMBER.sub("0", line).split()) for line in lines], found
    for line, expected in zip(found, lines, strict=True):
        numbers = [float(number) for number in NUMBER.findall(line)]
        wanted = [float(number) for number in NUMBER.findall(expected)]
        assert numbers == pytest.approx(wanted, abs=0.11, rel=0.011), (line, expected)
    if "--plot" in command:
        figure = tmp_path / shlex.split(command)[-1]
        assert figure.read_bytes().startswith(b"\x89PNG")
