import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    # Bluesky's and its dependencies' own imports warn.
    warnings.simplefilter("ignore", DeprecationWarning)
    import bluesky.run_engine  # noqa: F401 - before anything of ours imports it

from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.simulation.documents.truth import Generated


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Generated]:
    """A function that makes a shape's documents, files in a folder of the test's."""

    def made(shape: str, **more: Any) -> Generated:
        return generate(shape, directory=tmp_path, **more)

    return made
