"""Everything that the page on models of one's own shows is done, in its order."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.libraries.fake_feff import SCRIPT
from xasnn_stream.cli.main import main
from xasnn_stream.training import baselines, samples, split_coverage

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(console|python|yaml)\n(.*?)```", re.DOTALL)
ROW = re.compile(
    r"(?P<file>\S+\.dat) +- +(?P<verdict>[a-z]+) +"
    r"(?P<cn1>[\d.]+) \((?P<low>[\d.]+)–(?P<high>[\d.]+)\)"
)
"""What `analyze` prints of a file, up to cn1."""
SIZES = {
    samples: {"DRAWS": 6, "MIXTURES": 60, "IN_POOL": 60},
    baselines: {"_FOREST_DRAWS": 200, "_TREES": 5},
    split_coverage: {"REPEATS": 3},
}
"""Of every evaluation: which rows there are does not depend on how many draws."""


def steps() -> list[tuple[str, str]]:
    """Return what the page shows, in order: commands, programs and files."""
    found: list[tuple[str, str]] = []
    page = (ROOT / "docs" / "make-your-own.md").read_text()
    for kind, block in BLOCK.findall(page):
        if kind != "console":
            found.append((kind, block))
            continue
        lines = block.replace("\\\n", " ").splitlines()
        assert all(line.startswith("$ ") for line in lines), "the page shows no output"
        found += [(kind, line[2:]) for line in lines]
    return found


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """A folder like a checkout, with a stand-in for FEFF on the PATH."""
    if not (ROOT / "models" / "libraries" / "Pt_L3.npz").exists():
        pytest.skip("Pt_L3.npz is not in this checkout")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("models", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    feff = tmp_path / "bin" / "feff10"
    feff.parent.mkdir()
    text = SCRIPT.replace("{python}", sys.executable).replace("{mode}", "good")
    feff.write_text(text.replace("{counter}", str(tmp_path / "counter")))
    feff.chmod(0o755)
    monkeypatch.setenv("PATH", f"{feff.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("XASNN_FEFF", raising=False)
    monkeypatch.chdir(tmp_path)
    for module, sizes in SIZES.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)
    return tmp_path


def test_the_page_goes_from_a_library_to_a_model_in_use(desk, capsys):
    said: dict[str, list[str]] = {}
    weights: list[str] = []
    for kind, step in steps():
        if kind == "python":
            exec(step, {})  # noqa: S102 - it is our own page
        elif kind == "yaml":
            name = step.partition("\n")[0].removeprefix("# ")
            (desk / name).write_text(step)
        else:
            said[step] = typed(step, capsys)
        if " train " in step:
            weights.append(manifest(desk / "my-pt")["files"]["ensemble.safetensors"])

    assert len(set(weights)) == 1 < len(weights), "bit by bit the same"
    trained = manifest(desk / "my-pt")
    assert len(trained["training_particles"]) >= 15, "the page's least number"
    own, other = (printed for line, printed in said.items() if " evaluate " in line)
    assert {"held-out", "held-out, with bulk", "in-pool"} <= set(own)
    assert {"held-out", "training", "mixtures"} <= set(other)
    on_the_ladder(found(said))
    widened = manifest(desk / "my-pt-2")["calibration"]
    assert widened["n_particles"] == 3
    assert set(widened["highest_level"].values()) == {0.68}
    _, foil, *sweeps = next(out for line, out in said.items() if " replay " in line)
    assert "Pt foil" in foil
    assert len(sweeps) == 2


def typed(command: str, capsys) -> list[str]:
    """Run a command as somebody types it; return the lines it prints."""
    program, *arguments = shlex.split(command)
    if program == "xasnn-stream":
        code = main(arguments)
        output, errors = capsys.readouterr()
        assert code == 0, (command, errors)
        return output.splitlines()
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout.splitlines()


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def found(said: dict[str, list[str]]) -> dict[str, tuple[str, float, float]]:
    """Return verdict, cn1 and the width of its interval, by file."""
    lines = [line for out in said.values() for line in out]
    rows = filter(None, map(ROW.match, lines))
    return {
        row["file"]: (
            row["verdict"],
            float(row["cn1"]),
            float(row["high"]) - float(row["low"]),
        )
        for row in rows
    }


def on_the_ladder(of: dict[str, tuple[str, float, float]]) -> None:
    """See that what the page makes and asks for tells what the page says it tells."""
    _, foil, _ = of["foil.dat"]
    assert abs(foil - 12) <= 1
    _, whole, width = of["mix-100.dat"]
    mixed = [of[f"mix-{percent}.dat"][1] for percent in (25, 50, 75, 100)]
    line = [12 + percent / 100 * (whole - 12) for percent in (25, 50, 75, 100)]
    assert mixed == sorted(mixed, reverse=True)
    assert mixed == pytest.approx(line, abs=0.5), "a trial bends more than 0.4"
    for spoiled in ("shift.dat", "step.dat"):
        assert abs(of[spoiled][1] - whole) <= width / 2
    verdict, oxidized, _ = of["oxide.dat"]
    assert verdict != "ok"
    assert abs(oxidized - whole) > width / 2, "worth being refused"
