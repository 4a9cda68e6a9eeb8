"""The documentation's tables of flags and problems are those of the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "normalize.md").read_text()
SOURCES = "".join(
    path.read_text() for path in (ROOT / "xasnn_stream" / "reduction").glob("*.py")
)


def told(head: str) -> set[str]:
    """Return the codes of the table under a head."""
    table = PAGE.partition(head)[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_every_flag_is_documented():
    given = set(re.findall(r'\.flag\(\s*"(\w+)"', SOURCES))
    assert len(given) > 15
    assert told("| flag | found | numbers |") == given


def test_every_problem_is_documented():
    given = set(re.findall(r'\.refuse\(\s*"(\w+)"', SOURCES))
    assert len(given) > 7
    assert told("| problem | refused is |") == given
