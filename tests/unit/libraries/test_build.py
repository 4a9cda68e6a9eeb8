"""From a recipe to a library: running, resuming, failing, collecting."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.errors import UsageError
from xasnn_stream.libraries.feff.calculation import working_in
from xasnn_stream.libraries.feff.output import read_spectrum
from xasnn_stream.libraries.recipe import plan_of, read_library_recipe
from xasnn_stream.library import form, read_contents, read_library

from .fake_feff import SCRIPT

RECIPE = """\
schema: xasnn.library-recipe/1
element: Pt
edge: L3
lattice_a: 3.924
scales: [0.98, 1.0]
particles: [oct6, cubo13]
settings: {settings}
"""
SITES = 4  # of the crystal, the octahedron, and two of the cuboctahedron
CALCULATIONS = 2 * 2 * SITES  # two scales, two parts


class Bench:
    """A folder with a recipe and stand-ins for FEFF that count how often they run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe = folder / "recipe.yaml"
        self.recipe.write_text(RECIPE.format(settings="library"))
        self.output = folder / "out" / "Pt_L3.h5"
        self.work = folder / "out" / "Pt_L3.work"

    def feff(self, mode: str = "good") -> Path:
        path = self.folder / f"feff-{mode}"
        text = SCRIPT.replace("{python}", sys.executable).replace("{mode}", mode)
        path.write_text(text.replace("{counter}", str(self.folder / "counter")))
        path.chmod(0o755)
        return path

    @property
    def runs(self) -> int:
        """How many calculations were started."""
        counter = self.folder / "counter"
        return len(counter.read_text().splitlines()) if counter.exists() else 0

    def build(self, mode: str | None = "good", *more: str) -> int:
        asked = ["library", "build", str(self.recipe), "--output", str(self.output)]
        feff = ["--feff", str(self.feff(mode))] if mode else []
        return main([*asked, *feff, *more])


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_a_recipe_becomes_a_library(bench, capsys):
    assert bench.build() == 0
    assert bench.runs == CALCULATIONS
    library = read_library(bench.output)
    assert (library.element, library.edge) == ("Pt", "L3")
    assert library.scales == (0.98, 1.0)
    assert set(library.complete(0.98)) == {"bulk", "oct6", "cubo13"}
    np.testing.assert_allclose(form(library, "bulk").cn, (12, 6, 24, 12))
    assert form(library, "bulk").r1 == pytest.approx(3.924 / np.sqrt(2), abs=1e-5)
    np.testing.assert_allclose(form(library, "oct6", 0.98).cn, (4, 1, 0, 0))
    assert form(library, "oct6", 0.98).r1 == pytest.approx(
        0.98 * 3.924 / np.sqrt(2), abs=1e-5
    )
    # Theory's own edge is put at zero where no foil is named.
    bulk = library.mu[library.rows(1.0)[library.bulk_site]]
    near = np.abs(library.x) < 20
    steepest = library.x[near][np.argmax(np.gradient(bulk, library.x)[near])]
    assert abs(steepest) <= 0.5
    assert "scale 0.98" in capsys.readouterr().out


def test_a_library_takes_each_part_of_the_settings_where_it_belongs(bench):
    bench.build()
    contents = read_contents(bench.output)
    energy, mu = contents.numbers("raw_e_1.00"), contents.numbers("raw_mu_1.00")
    below, above = (
        read_spectrum(bench.work / "1" / f"crystal-{part}" / "xmu.dat").mu
        for part in (0, 1)
    )
    assert np.abs(below - above).max() > 1e-3
    np.testing.assert_allclose(mu[0][energy < 20], below[energy < 20], rtol=1e-6)
    np.testing.assert_allclose(mu[0][energy >= 20], above[energy >= 20], rtol=1e-6)


def test_what_is_computed_is_not_computed_again(bench):
    bench.build()
    before = read_library(bench.output)
    assert bench.build() == 0
    assert bench.runs == CALCULATIONS
    np.testing.assert_array_equal(read_library(bench.output).mu, before.mu)
    bench.recipe.write_text(
        bench.recipe.read_text().replace("cubo13]", "cubo13, ico13]")
    )
    assert bench.build() == 0
    assert bench.runs == CALCULATIONS + 2 * 2 * 2
    assert "ico13" in read_library(bench.output).complete(1.0)


def test_a_change_of_settings_computes_anew(bench):
    bench.build()
    bench.recipe.write_text(RECIPE.format(settings="tutorial"))
    assert bench.build() == 0
    assert bench.runs == CALCULATIONS + 2 * SITES


def test_failed_sites_are_told_and_the_rest_is_a_library(bench, capsys):
    assert bench.build("unlucky") == 1
    told = capsys.readouterr().err
    assert "SCF did not converge" in told
    assert "2 of 8 sites are missing" in told
    library = read_library(bench.output)
    assert set(library.complete(1.0)) == {"bulk", "cubo13"}
    runs = bench.runs
    assert bench.build() == 0
    assert bench.runs == runs + 4
    assert "oct6" in read_library(bench.output).complete(1.0)


def test_nothing_works_without_the_crystal(bench, capsys):
    assert bench.build("fail") == 1
    assert bench.runs == 1
    assert "exit code 3" in capsys.readouterr().err
    assert not bench.output.exists()


def test_a_program_that_ignores_multiple_scattering_stops_the_build(bench, capsys):
    assert bench.build("ignorant") == 2
    assert bench.runs == 1
    assert "ignored the FMS card" in capsys.readouterr().err
    assert not bench.output.exists()
    assert not (bench.work / "1" / "crystal-0").exists()


def test_a_program_without_a_result_tells_what_it_said(bench, capsys):
    assert bench.build("silent") == 1
    told = capsys.readouterr().err
    assert "left no xmu.dat" in told
    assert "Keyword unrecognized" in told


def test_a_calculation_that_takes_too_long_is_ended(bench, capsys):
    assert bench.build("slow", "--timeout", "0.4") == 1
    assert "not done after 0.4 s" in capsys.readouterr().err


def test_a_killed_build_goes_on_where_it_was(bench):
    command = [sys.executable, "-m", "xasnn_stream", "library", "build"]
    asked = [str(bench.recipe), "--output", str(bench.output)]
    process = subprocess.Popen(
        [*command, *asked, "--feff", str(bench.feff())], start_new_session=True
    )
    try:
        deadline = time.monotonic() + 40
        while bench.runs < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    # A calculation that just began may count itself a moment after it was killed.
    started = -1
    while started != bench.runs:
        started = bench.runs
        time.sleep(0.5)
    done = len(list(bench.work.glob("*/[!.]*/xmu.dat")))
    assert 1 <= done < CALCULATIONS
    assert bench.build() == 0
    assert bench.runs - started <= CALCULATIONS - done
    assert set(read_library(bench.output).complete(1.0)) == {"bulk", "oct6", "cubo13"}
    assert not [path for path in bench.work.glob("*/.*") if path.is_dir()]


def test_two_builds_do_not_work_in_one_folder(bench, capsys):
    with working_in(bench.work):
        assert bench.build() == 2
    assert "another build is at work" in capsys.readouterr().err
    assert bench.build() == 0


def test_what_is_there_is_collected_without_a_program(bench, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert bench.build(None, "--collect-only") == 2
    assert "nothing is computed yet" in capsys.readouterr().err
    monkeypatch.undo()
    bench.build()
    for path in bench.work.glob("1/*"):
        if "oct6" in (path / "feff.inp").read_text():
            shutil.rmtree(path)
    runs = bench.runs
    assert bench.build(None, "--collect-only") == 1
    assert bench.runs == runs
    assert set(read_library(bench.output).complete(1.0)) == {"bulk", "cubo13"}


def test_spectra_of_elsewhere_are_recognized_by_their_structures(bench):
    bench.build()
    expected = read_library(bench.output)
    foreign = bench.folder / "elsewhere"
    for number, path in enumerate(sorted(bench.work.glob("*/*/xmu.dat"))):
        shutil.copytree(path.parent, foreign / f"run{number}")
    other = Path(shutil.copytree(foreign / "run0", foreign / "other"))
    text = (other / "feff.inp").read_text()
    (other / "feff.inp").write_text(text.replace("1.96200", "1.86200"))
    output = bench.folder / "collected" / "Pt_L3.h5"
    asked = ["library", "build", str(bench.recipe), "--output", str(output)]
    assert main([*asked, "--collect-only", str(foreign)]) == 0
    found = read_library(output)
    np.testing.assert_array_equal(found.site, expected.site)
    np.testing.assert_array_equal(found.mu, expected.mu)


def test_a_folder_of_other_things_has_nothing_to_collect(bench, capsys):
    (bench.folder / "empty").mkdir()
    assert bench.build(None, "--collect-only", str(bench.folder / "empty")) == 2
    assert "0 calculations were looked at" in capsys.readouterr().err


def test_structures_of_ones_own_are_computed_from_xyz(bench):
    (bench.folder / "pair.xyz").write_text("2\npair\nPt 0 0 0\nPt 2.77 0 0\n")
    bench.recipe.write_text(
        RECIPE.format(settings="library").replace(
            "[oct6, cubo13]", "[bulk, {name: pair2, xyz: pair.xyz}]"
        )
    )
    assert bench.build() == 0
    formed = form(read_library(bench.output), "pair2")
    np.testing.assert_allclose(formed.cn, (1, 0, 0, 0))
    assert formed.r1 == pytest.approx(2.77, abs=1e-4)


@pytest.mark.measured
def test_theory_is_put_in_units_of_a_foil(bench, measured_spectra):
    foil = measured_spectra / "Pt_L3_13IDC2001.csv"
    recipe = bench.recipe.read_text() + f"foil: {json.dumps(str(foil))}\n"
    bench.recipe.write_text(recipe)
    assert bench.build() == 0
    calibration = read_contents(bench.output).index["calibration"]["Pt"]
    fit = calibration["bulk_vs_foil"]["Pt_L3_13IDC2001.csv"]
    assert calibration["norm_amp"] == fit["amplitude"]
    assert calibration["energy_shift_eV"] == fit["shift_ev"] - fit["inflection_ev"]
    # The stand-in has an edge and hardly more: it fits as far as a step can.
    assert fit["inflection_ev"] == pytest.approx(-2.25, abs=0.3)
    assert 0.01 < fit["rms"] < 0.2


def test_a_foil_that_is_not_there_is_told_before_anything_is_computed(bench, capsys):
    bench.recipe.write_text(bench.recipe.read_text() + "foil: nowhere.dat\n")
    assert bench.build() == 2
    assert "nowhere.dat" in capsys.readouterr().err
    assert bench.runs == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("lattice_a: 3.924\n", ""), "lattice_a: missing"),
        (("settings", "setings"), "settings: missing; setings: unknown"),
        (("element: Pt", "element: Xx"), "Xx L3 is no tabulated edge"),
        (("oct6", "oct7"), "no oct7: that shape has no 7 atoms; next is oct6 or oct19"),
        (("[oct6, cubo13]", "oct6"), "particles: a list"),
        (("[oct6, cubo13]", "[{name: x}]"), "has no xyz"),
        (("library-recipe/1", "recipe/1"), "schema: expected"),
        (("settings: library", "settings: best"), "no FEFF settings 'best'"),
        (("[0.98, 1.0]", "[a]"), "scales are numbers"),
        (("3.924", "0.39"), "lattice_a is in Å"),
    ],
)
def test_mistakes_of_a_recipe_are_named(bench, change, told):
    text = bench.recipe.read_text()
    assert change[0] in text
    bench.recipe.write_text(text.replace(*change))
    with pytest.raises(UsageError, match=told):
        read_library_recipe(bench.recipe)


def test_a_plan_has_every_site_once(bench):
    plan = plan_of(read_library_recipe(bench.recipe))
    assert len(plan.sites) == SITES
    assert sum(many for _, many in plan.particles["cubo13"]) == 13
    assert next(iter(plan.sites)) == plan.bulk


def test_the_name_of_a_library_must_tell_what_it_is_of(bench, capsys):
    bench.output = bench.folder / "mine.h5"
    assert bench.build() == 2
    assert "the name must tell Pt_L3" in capsys.readouterr().err
    bench.output = bench.folder / "new folder"
    assert bench.build() == 0
    assert (bench.folder / "new folder" / "Pt_L3.h5").exists()


def test_a_library_lies_beside_its_recipe_if_no_place_is_named(bench):
    feff = str(bench.feff())
    assert main(["library", "build", str(bench.recipe), "--feff", feff]) == 0
    assert "oct6" in read_library(bench.folder / "Pt_L3.h5").complete(1.0)


@pytest.mark.parametrize("program", ["feff8l", "feff6l"])
def test_the_bundled_exafs_programs_stop_a_build_of_spectra(bench, program, capsys):
    programs = bundled_programs()
    modules = ("rdinp", "pot", "xsph", "pathfinder", "genfmt", "ff2x")
    commands = [str(programs / f"feff8l_{name}") for name in modules]
    feff = bench.folder / program
    lines = commands if program == "feff8l" else [str(programs / "feff6l")]
    feff.write_text("\n".join(["#!/bin/sh", *lines, "exit 0", ""]))
    feff.chmod(0o755)
    assert bench.build(None, "--feff", str(feff)) == 2
    assert "no full multiple scattering (FMS)" in capsys.readouterr().err
    assert not bench.output.exists()


def bundled_programs() -> Path:
    """Return the folder of EXAFS programs that larch brings."""
    larch = pytest.importorskip("larch", reason="larch brings feff8l")
    programs = Path(larch.__file__).parent / "bin" / "linux64"
    if not (programs / "feff8l_rdinp").exists():
        pytest.skip(f"no feff8l in {programs}")
    return programs


def test_scattering_paths_are_computed_by_the_bundled_exafs_program(bench, capsys):
    programs = bundled_programs()
    small = bench.recipe.read_text().replace("[0.98, 1.0]", "[1.0]")
    bench.recipe.write_text(small.replace("[oct6, cubo13]", "[oct6]"))
    assert bench.build(None, "--feff", str(programs)) == 2
    assert "it has no fms" in capsys.readouterr().err
    assert bench.build(None, "--feff", str(programs), "--paths") == 0
    written = bench.folder / "out" / "Pt_L3_paths.h5"
    a = 3.924
    with h5py.File(written) as file:
        particles = json.loads(file["particles"][()])
        site = particles["oct6"][0][0]
        first, second = file[f"1/{site}/0001"], file[f"1/{site}/0002"]
        assert first.attrs["reff"] == pytest.approx(a / np.sqrt(2), abs=1e-3)
        assert first.attrs["degeneracy"] == 4
        assert second.attrs["reff"] <= 1.5 * a
        assert first["table"].shape[1] == len(file.attrs["columns"])
        bulk = particles["bulk"][0][0]
        assert file[f"1/{bulk}/0001"].attrs["degeneracy"] == 12
    before = {
        path: path.stat().st_mtime_ns for path in bench.work.glob("1/*/feff0001.dat")
    }
    assert len(before) == 2
    assert bench.build(None, "--feff", str(programs), "--paths") == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}
    again = bench.folder / "again" / "Pt_L3.h5"
    asked = ["library", "build", str(bench.recipe), "--output", str(again), "--paths"]
    assert main([*asked, "--collect-only", str(bench.work)]) == 0
    with (
        h5py.File(written) as one,
        h5py.File(again.with_name("Pt_L3_paths.h5")) as other,
    ):
        assert set(one["1"]) == set(other["1"])


def test_paths_that_are_not_computed_are_missed(bench, capsys):
    assert bench.build(None, "--collect-only", "--paths") == 2
    assert "nothing is computed yet" in capsys.readouterr().err
