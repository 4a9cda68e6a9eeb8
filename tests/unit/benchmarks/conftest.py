import sys

import pytest


@pytest.fixture
def other_python(monkeypatch, tmp_path):
    """A function: a benchmark's process prints this line instead of measuring."""

    def prints(line: str) -> None:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\necho '{line}'\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return prints
