from pathlib import Path

import pytest

from xasnn_stream.library import Contents, read_contents
from xasnn_stream.shipped import shipped_folder

SHARED = Path(__file__).parents[4] / "shared"


@pytest.fixture(scope="session")
def pt_contents() -> Contents:
    return read_contents(shipped_folder("models") / "libraries" / "Pt_L3.npz")


@pytest.fixture(scope="session")
def shared_libraries() -> Path:
    folder = SHARED / "xanes-library"
    if not folder.is_dir():
        pytest.skip(f"no site libraries beside the checkout ({folder})")
    return folder


@pytest.fixture(scope="session")
def measured_spectra() -> Path:
    folder = SHARED / "xas-data" / "spectra"
    if not folder.is_dir():
        pytest.skip(f"no measured spectra beside the checkout ({folder})")
    return folder
