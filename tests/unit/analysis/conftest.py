"""The shipped example files, and variations of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from xasnn_stream.analysis.analyze import Failure, Request, Result, analyze

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder with the example files of the documentation."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


@pytest.fixture
def run() -> Callable[..., list[Result | Failure]]:
    """A function: analyze files and return all results and failures."""

    def run(*files: Path, **given: object) -> list[Result | Failure]:
        foil = given.pop("foil", None)
        return list(analyze(Request(files, foil=foil and str(foil), **given)))

    return run
