import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xasnn_stream.library import Library, read_library

CHECKOUT = Path(__file__).parents[3]
Documents = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def library_path() -> Path:
    return CHECKOUT / "models" / "libraries" / "Pt_L3.npz"


@pytest.fixture(scope="session")
def library(library_path: Path) -> Library:
    return read_library(library_path)


@pytest.fixture(scope="session")
def particles() -> tuple[str, ...]:
    return ("hemi111_13", "hcp_19", "to38", "cubo55", "ico55", "to79", "cubo147")


@pytest.fixture(scope="session")
def run_engine() -> Any:
    with warnings.catch_warnings():
        # Bluesky's and its dependencies' own imports warn.
        warnings.simplefilter("ignore", DeprecationWarning)
        from bluesky.run_engine import RunEngine
    return RunEngine({})


@pytest.fixture
def measure(run_engine: Any) -> Callable[[Any], Documents]:
    """Run a plan, return its documents."""

    def run(plan: Any) -> Documents:
        documents: Documents = []
        run_engine(plan, lambda name, doc: documents.append((name, doc)))
        return documents

    return run
