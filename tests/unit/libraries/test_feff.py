"""FEFF's input, finding and running it, and what is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.errors import FeffError, LibraryError, UsageError
from xasnn_stream.libraries.feff.inputs import feff_input, paths_input, read_input
from xasnn_stream.libraries.feff.output import read_spectrum
from xasnn_stream.libraries.feff.paths import read_paths
from xasnn_stream.libraries.feff.program import (
    NAMES,
    VARIABLE,
    find_program,
    run_program,
)
from xasnn_stream.libraries.feff.settings import settings
from xasnn_stream.libraries.structures import particle

from .fake_feff import SCRIPT

RECORDED = Path(__file__).with_name("feff8l_xmu.dat")
RECORDED_PATH = Path(__file__).with_name("feff8l_0001.dat")
OCT6 = particle("oct6") * 3.924


@pytest.fixture
def fake(tmp_path):
    def make(mode: str = "good") -> Path:
        path = tmp_path / f"feff-{mode}"
        counter = tmp_path / "counter"
        text = SCRIPT.replace("{python}", sys.executable).replace("{mode}", mode)
        path.write_text(text.replace("{counter}", str(counter)))
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "calculation"
    place.mkdir()
    chosen = settings("tutorial", 3.924, "L3")
    text = feff_input("Pt oct6", "Pt", "L3", OCT6, chosen, chosen.parts[0])
    (place / "feff.inp").write_text(text)
    return place


def card(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))


def test_the_settings_of_the_library_are_those_of_its_page():
    chosen = settings("library", 3.924, "L3")
    below, above = chosen.parts
    assert (below.radius, below.lmax) == (pytest.approx(1.65 * 3.924), 3)
    assert (above.radius, above.lmax, above.from_ev) == (
        pytest.approx(1.50 * 3.924),
        4,
        20.0,
    )
    text = feff_input("t", "Pt", "L3", OCT6, chosen, above)
    assert card(text, "EDGE") == "EDGE L3"
    assert card(text, "COREHOLE") == "COREHOLE NONE"
    assert card(text, "XANES") == "XANES 6.0 0.07 0.0"
    assert card(text, "FMS") == "FMS 5.8860 0"
    assert card(text, "SCF").startswith("SCF 5.0227")
    assert " 0 78 Pt 3 4 " in text
    assert settings("library", 3.89, "K").corehole == "RPA"


def test_the_tutorials_settings_are_a_second_set():
    chosen = settings("tutorial", 4.0, "K")
    text = feff_input("t", "Pd", "K", OCT6, chosen, chosen.parts[0])
    assert card(text, "EXCHANGE") == "EXCHANGE 0 1.0 0.0"
    assert card(text, "SCF") == "SCF 5.5 0 100 0.1 1"
    assert card(text, "FMS") == "FMS 7.0000 0"
    assert card(text, "XANES") == "XANES 5 0.05 0.1"
    assert " 0 46 Pd -1 -1 " in text
    with pytest.raises(UsageError, match="there are: library, tutorial"):
        settings("mine", 4.0, "K")


def test_an_input_read_back_is_the_structure_it_was_made_of(folder):
    given = read_input(folder / "feff.inp")
    np.testing.assert_allclose(given.atoms, OCT6, atol=1e-5)
    assert (given.fms_radius, given.lmax) == (7.0, -1)


def test_the_absorber_may_stand_anywhere_in_an_input(tmp_path):
    path = tmp_path / "feff.inp"
    path.write_text(
        "* comment\nFMS 5.0 0 ! radius\nPOTENTIALS\n0 78 Pt 3 4\n1 78 Pt\n"
        "ATOMS\n1 0 0 1 Pt\n0 0 0 0 Pt\n0 1 0 1\nEND\n"
    )
    given = read_input(path)
    np.testing.assert_array_equal(given.atoms[0], (0, 0, 0))
    assert sorted(given.atoms.tolist()) == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert (given.fms_radius, given.lmax) == (5.0, 4)


def test_an_input_without_one_absorber_is_refused(folder):
    path = folder / "feff.inp"
    path.write_text(path.read_text().replace(" 0 Pt", " 1 Pt"))
    with pytest.raises(LibraryError, match="names 0 absorbers"):
        read_input(path)


def test_an_input_for_paths_asks_for_no_multiple_scattering(tmp_path):
    path = tmp_path / "feff.inp"
    path.write_text(paths_input("Pt oct6", "Pt", "L3", OCT6, 5.0))
    assert read_input(path).fms_radius is None
    assert card(path.read_text(), "RPATH") == "RPATH 5.0000"
    assert "XANES" not in path.read_text()


def test_a_spectrum_is_read_as_the_program_wrote_it(fake, folder):
    run_program(find_program(str(fake())), folder, 30.0)
    found = read_spectrum(folder / "xmu.dat")
    assert found.fermi == pytest.approx(-6.387)
    assert found.offset == pytest.approx(11569.461, abs=1e-3)
    assert found.energy[0] == pytest.approx(-21.0)
    assert len(found.mu) == len(found.background) == 82
    assert found.background[-1] == pytest.approx(1.0, abs=0.02)
    assert np.abs(found.mu - found.background).max() > 0.01


def test_without_a_header_the_fermi_level_is_where_k_changes_sign(fake, folder):
    run_program(find_program(str(fake())), folder, 30.0)
    path = folder / "xmu.dat"
    path.write_text(path.read_text().replace("Mu=", "mu "))
    assert read_spectrum(path).fermi == pytest.approx(-6.387, abs=0.2)


def test_a_program_that_ignored_the_fms_card_is_refused(tmp_path):
    # Written by feff8l for an input with XANES and FMS cards.
    shutil.copy(RECORDED, tmp_path / "xmu.dat")
    with pytest.raises(
        LibraryError, match=r"Feff8L \(EXAFS\) ignored the FMS card.*1 p"
    ):
        read_spectrum(tmp_path / "xmu.dat")


def test_multiple_scattering_may_be_told_by_the_file_beside(tmp_path):
    shutil.copy(RECORDED, tmp_path / "xmu.dat")
    (tmp_path / "fms.bin").write_text("FMS rfms= 6.4746\n  82  82\n")
    assert read_spectrum(tmp_path / "xmu.dat").fermi == pytest.approx(-7.089)
    (tmp_path / "fms.bin").write_text("FMS rfms= 0.0000\n  82  82\n")
    with pytest.raises(LibraryError, match="ignored the FMS card"):
        read_spectrum(tmp_path / "xmu.dat")


def test_fine_structure_without_any_path_is_multiple_scattering(tmp_path):
    text = RECORDED.read_text().replace("1/   1 paths used", "0/   0 paths used")
    path = tmp_path / "xmu.dat"
    path.write_text(text)
    assert len(read_spectrum(path).mu) > 20
    lines = text.splitlines()
    bare = [
        line if line.startswith("#") else line[: line.rindex(" ") + 1] + "0.0"
        for line in lines
    ]
    path.write_text("\n".join(bare))
    with pytest.raises(LibraryError, match="ignored the FMS card"):
        read_spectrum(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines[:20], "no spectrum of FEFF"),
        (lambda lines: [*lines[:-1], lines[-1][:30]], "no spectrum of FEFF"),
        (lambda lines: ["nothing", "here"], "no spectrum of FEFF"),
        (lambda lines: lines[:15] + lines[:14:-1], "do not ascend"),
        (lambda lines: [line.replace("Mu=", "mu ") for line in lines], "Fermi level"),
    ],
    ids=["few", "cut", "text", "backwards", "no Fermi level"],
)
def test_what_is_no_spectrum_is_refused(tmp_path, change, told):
    (tmp_path / "fms.bin").write_text("FMS rfms= 6.4746\n")
    path = tmp_path / "xmu.dat"
    path.write_text("\n".join(change(RECORDED.read_text().splitlines())))
    with pytest.raises(LibraryError, match=told):
        read_spectrum(path)


def test_the_bundled_exafs_program_is_refused(folder):
    larch = pytest.importorskip("larch", reason="larch brings feff8l")
    programs = Path(larch.__file__).parent / "bin" / "linux64"
    if not (programs / "feff8l_rdinp").exists():
        pytest.skip(f"no feff8l in {programs}")
    path = folder / "feff.inp"
    # feff8l knows no screened core hole, and would stop at the card.
    path.write_text(path.read_text().replace("COREHOLE", "*COREHOLE"))
    for name in ("rdinp", "pot", "xsph", "pathfinder", "genfmt", "ff2x"):
        subprocess.run(
            [programs / f"feff8l_{name}"], cwd=folder, capture_output=True, timeout=50
        )
    with pytest.raises(LibraryError, match="ignored the FMS card"):
        read_spectrum(folder / "xmu.dat")


def test_a_program_is_named_or_found(fake, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=rf"--feff PATH or \${VARIABLE}.*collect-only"):
        find_program(None)
    good = fake()
    shutil.copy(good, tmp_path / NAMES[0])
    assert find_program(None).commands == (tmp_path / NAMES[0],)
    monkeypatch.setenv(VARIABLE, str(good))
    assert find_program(None).commands == (good,)
    other = fake("slow")
    assert find_program(str(other)).commands == (other,)


def test_a_folder_of_modules_is_a_program(fake, tmp_path):
    modules = tmp_path / "modules"
    modules.mkdir()
    for name in ("ff2x", "rdinp", "pot", "xsph"):
        shutil.copy(fake(), modules / name)
    with pytest.raises(UsageError, match="it has no fms"):
        find_program(str(modules))
    shutil.copy(fake(), modules / "fms")
    names = [command.name for command in find_program(str(modules)).commands]
    assert names == ["rdinp", "pot", "xsph", "fms", "ff2x"]


def test_what_cannot_be_run_is_wrong_usage(tmp_path):
    (tmp_path / "feff").write_text("no program")
    with pytest.raises(UsageError, match="not a program"):
        find_program(str(tmp_path / "feff"))


def test_a_failure_tells_what_the_program_said_last(fake, folder):
    with pytest.raises(FeffError, match=r"exit code 3 in .*SCF did not converge"):
        run_program(find_program(str(fake("fail"))), folder, 30.0)


def test_a_program_is_ended_when_its_time_is_over(fake, folder):
    with pytest.raises(FeffError, match=r"not done after 0\.5 s.*--timeout"):
        run_program(find_program(str(fake("slow"))), folder, 0.5)


def test_paths_are_read_as_the_program_wrote_them(tmp_path):
    shutil.copy(RECORDED_PATH, tmp_path / "feff0001.dat")
    (path,) = read_paths(tmp_path)
    assert (path.number, path.nleg, path.degeneracy) == (1, 2, 5.0)
    assert path.reff == pytest.approx(2.7747)
    assert np.linalg.norm(path.atoms[1] - path.atoms[0]) == pytest.approx(
        2.7747, abs=1e-4
    )
    assert path.table.shape[1] == 7
    assert (np.diff(path.table[:, 0]) > 0).all()
    assert path.table[0, 1] == pytest.approx(12.6)
    (tmp_path / "feff0001.dat").write_text("nothing")
    with pytest.raises(LibraryError, match="no scattering path"):
        read_paths(tmp_path)
    (tmp_path / "feff0001.dat").unlink()
    with pytest.raises(LibraryError, match=r"no feffNNNN\.dat"):
        read_paths(tmp_path)
