"""A made-up transmission scan, and files written from it in a test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.files.read import read_scans
from xasnn_stream.files.scan import Scan


@dataclass(frozen=True)
class Made:
    """Columns of a scan over an edge at 11564 eV."""

    energy: np.ndarray
    i0: np.ndarray
    it: np.ndarray

    @property
    def mu(self) -> np.ndarray:
        return np.log(self.i0 / self.it)

    def rows(self, *columns: np.ndarray, separator: str = " ") -> str:
        """Lines of columns, the energy first."""
        table = zip(self.energy, *columns, strict=True)
        lines = (separator.join(f"{value:.9g}" for value in row) for row in table)
        return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def made() -> Made:
    energy = np.arange(11400.0, 11800.0, 4.0)
    mu = 0.4 + np.arctan((energy - 11564) / 3) / np.pi
    i0 = 1e5 * (1 + 0.1 * np.sin(np.arange(len(energy))))
    return Made(energy, i0, i0 * np.exp(-mu))


@pytest.fixture
def scans(tmp_path: Path) -> Callable[..., list[Scan]]:
    """A function: write a file, text or bytes, and read its scans."""

    def read(content: str | bytes, name: str = "scan.dat", **given: object):
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(data)
        return read_scans(path, **given)

    return read
