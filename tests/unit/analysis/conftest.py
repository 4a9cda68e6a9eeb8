"""Running the analysis in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xasnn_stream.analysis.analyze import Failure, Request, Result, analyze


@pytest.fixture
def run() -> Callable[..., list[Result | Failure]]:
    """A function: analyze files and return all results and failures."""

    def run(*files: Path, **given: object) -> list[Result | Failure]:
        foil = given.pop("foil", None)
        foils = (str(foil),) if foil else tuple(map(str, given.pop("foils", ())))
        return list(analyze(Request(files, foils=foils, **given)))

    return run
