"""The page of physics functions names what there is, in the words of the code."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "xasnn_stream"
PHYSICS = PACKAGE / "physics"
PAGE = ROOT / "docs" / "physics.md"
ROW = re.compile(r"^\| `([a-z_.0-9]+)` \| (.+) \|$", re.MULTILINE)


@cache
def parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text())


def functions() -> dict[str, str]:
    """Return the first sentence of all public functions of `physics`, by their path."""
    found: dict[str, str] = {}
    for source in PHYSICS.rglob("*.py"):
        module = ".".join(source.relative_to(PHYSICS).with_suffix("").parts)
        for node in parsed(source).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                first = (ast.get_docstring(node) or "").split("\n\n")[0]
                found[f"{module}.{node.name}"] = " ".join(first.split())
    return found


def imports(source: Path) -> Iterator[str]:
    """Yield what a module takes of `physics`, by its path: names, or of whole modules."""
    prefix = "xasnn_stream.physics."
    tree = parsed(source)
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(prefix):
            module = (node.module or "").removeprefix(prefix)
            modules |= {a.asname or a.name: f"{module}.{a.name}" for a in node.names}
    yield from modules.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{modules.get(node.value.id)}.{node.attr}"


def test_every_line_of_the_page_is_the_code_s():
    known = functions()
    shown = ROW.findall(PAGE.read_text())
    assert len(shown) > 30
    assert dict(shown) == {name: known.get(name) for name, _ in shown}


def test_what_others_than_physics_may_use_is_on_the_page():
    sources = set(PACKAGE.rglob("*.py"))
    inner = {name for source in PHYSICS.rglob("*.py") for name in imports(source)}
    outside = sources - set(PHYSICS.rglob("*.py"))
    used = {name for source in outside for name in imports(source)}
    wanted = {name for name in functions() if name in used or name not in inner}
    missing = wanted - {name for name, _ in ROW.findall(PAGE.read_text())}
    assert not missing, "explain on the page, or, of one module alone, name with _"


def test_the_example_reduces_spectra():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    energy = torch.arange(8800.0, 9700.0, dtype=torch.float64)
    edge = 0.5 + torch.atan((energy - 8979.0) / 2.0) / np.pi
    names: dict[str, Any] = {"energy": energy, "mu": edge.expand(3, -1) * 2.0 + 1.0}
    exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert names["e0"].tolist() == pytest.approx([8979.0] * 3, abs=1.0)
    # The arctangent rises by 2 % of its height outside of the fitted ranges.
    assert names["step"].tolist() == pytest.approx([2.0] * 3, rel=0.03)
    assert names["flat"].shape == (3, len(energy))
    # A bare edge has no fine structure, but for what is left of its own rise.
    fine = names["reduced"].background.k > 3.0
    assert names["chi"][:, fine].abs().max() < 0.005
    assert names["chir"].abs().max() < 0.2
