"""What the documentation says exists: links, commands with their flags, make targets."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from xasnn_stream.cli.main import parser
from xasnn_stream.telemetry.metrics import METRICS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "models/*/*.md", "deploy/**/*.md")
    for page in ROOT.glob(pattern)
)
SECTION = re.compile(r"\]\((?!https?://)([^)#\s]*)#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
GUIDES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
METRIC = re.compile(r"\bxasnn_[a-z_]+_(?:total|seconds|pending|connected)\b")
OTHER_PROGRAMS_FLAGS = {
    *("--in-address", "--out-address"),  # Bluesky's proxy
    # The simulation.
    *("--publish", "--record", "--library", "--model", "--scans", "--foil", "--data"),
    *("--theory", "--quick"),  # the study of architectures
}
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
WALKED = (
    Path("docs/first-hour-at-a-beamline.md"),
    Path("docs/make-your-own.md"),
    Path("docs/profiles.md"),
)
"""Pages of which tests/system runs every command."""


def commands(page: Path) -> list[str]:
    """Return the commands of a page's console blocks, continued lines joined."""
    blocks = "".join(CONSOLE.findall(page.read_text()))
    lines = blocks.replace("\\\n", " ").splitlines()
    return [line[2:].partition(" # ")[0] for line in lines if line.startswith("$ ")]


COMMANDS = [
    (page.relative_to(ROOT), command) for page in PAGES for command in commands(page)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    missing = [
        target
        for target in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_sections_find_them(page: Path) -> None:
    missing = [
        f"{target}#{section}"
        for target, section in SECTION.findall(page.read_text())
        if section not in sections(page.parent / target if target else page)
    ]
    assert missing == []


def sections(page: Path) -> set[str]:
    """Return the names by which a page's headings are linked."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_readme_shows_both_set_up_commands() -> None:
    first_screen = (ROOT / "README.md").read_text().splitlines()[:30]
    assert any(line.startswith("$ make demo") for line in first_screen)
    assert any(line.startswith("$ make test") for line in first_screen)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_flags_and_metrics_are_known(page: Path) -> None:
    text = page.read_text()
    assert set(FLAG.findall(text)) <= set(flags(parser())) | OTHER_PROGRAMS_FLAGS
    assert set(METRIC.findall(text)) <= {f"xasnn_{name}" for name in METRICS}


def flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Return the flags of all commands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from flags(command)


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_documented_commands_are_understood(page: Path, command: str) -> None:
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    program, arguments = Path(words[0]).name, words[1:]
    if program == "make":
        targets = (ROOT / "Makefile").read_text()
        goals = [word for word in arguments if "=" not in word]
        assert all(re.search(rf"^{re.escape(goal)}:", targets, re.M) for goal in goals)
    elif program == "xasnn-stream":
        # Exits, and so fails, on an unknown command, flag or missing argument.
        parser().parse_args(arguments)
    else:
        assert page in WALKED, f"{page} shows {program}, which nobody checks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_examples_compile(page: Path) -> None:
    for number, example in enumerate(PYTHON.findall(page.read_text())):
        compile(example, f"{page.name}#{number}", "exec")
