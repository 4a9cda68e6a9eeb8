"""A beamline is a profile: no other code knows one by its name."""

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "xasnn_stream"

NAME = re.compile(
    r"(?<![a-z])(bmm|iss|qas|tes|srx|dls|diamond light|haven|nsls|aps|esrf|soleil|desy|"
    r"petra|ssrl|elettra|bessy|spring-?8|max ?iv|alba|b18|i20|8-id|6-bm|25-id)(?![a-z0-9])",
    re.IGNORECASE,
)
"""Beamlines and facilities, however they are written, but in no other word."""

KNOWS = (
    *("assembly/decoders", "files"),  # formats of files
    "simulation",  # documents as they come from there
    *("scorecard", "training"),  # measured data sets, named after where they are from
)


def _named(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return [line.strip() for line in lines if NAME.search(line)]


def test_only_formats_simulation_and_data_sets_name_a_beamline() -> None:
    named = {
        str(path.relative_to(PACKAGE)): lines
        for kind in ("py", "js", "html", "css")
        for path in PACKAGE.rglob(f"*.{kind}")
        if (lines := _named(path))
    }

    assert any(path.startswith("simulation/") for path in named), "nothing is found"
    assert {p: lines for p, lines in named.items() if not p.startswith(KNOWS)} == {}
