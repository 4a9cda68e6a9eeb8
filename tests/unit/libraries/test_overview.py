import json

import numpy as np
import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.libraries.overview import overview
from xasnn_stream.library import library_of, read_contents, write_library
from xasnn_stream.shipped import shipped_folder

LIBRARIES = shipped_folder("models") / "libraries"


def test_sites_and_complete_particles_are_counted_per_scale(pt_contents):
    found = overview(pt_contents)
    library = library_of(pt_contents)
    assert (found.element, found.edge, found.rows) == ("Pt", "L3", len(library.site))
    assert tuple(at.scale for at in found.scales) == library.scales
    for at in found.scales:
        assert at.complete == library.complete(at.scale)
        assert set(at.complete) | set(at.missing) == set(library.particles)
        assert not set(at.complete) & set(at.missing)
        absent = set(library.site.tolist()) - library.rows(at.scale).keys()
        assert all(count > 0 for count in at.missing.values())
        assert bool(at.missing) >= bool(absent)


def test_a_missing_site_is_counted_for_every_particle_that_has_it(
    pt_contents, tmp_path
):
    site = pt_contents.index["particles"]["oct6"]["sites"][0][0]
    kept = pt_contents.arrays["site_id"] != site
    rows = ("site_id", "scale", "mu", "cn", "R1")
    arrays = {
        name: array[kept] if name in rows else array
        for name, array in pt_contents.arrays.items()
    }
    write_library(tmp_path / "Pt_L3.h5", arrays, pt_contents.index)
    found = overview(read_contents(tmp_path / "Pt_L3.h5"))
    assert all(at.missing["oct6"] == 1 for at in found.scales)
    assert all("oct6" not in at.complete for at in found.scales)


def test_the_command_prints_json_lines(capsys):
    assert main(["library", "show", str(LIBRARIES / "Pt_L3.npz"), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["schema"] == "xasnn.library/1"
    assert found["ranges"]["cn1"][1] == 12.0
    assert found["ranges"]["x"] == [-25.0, 120.0]
    at_one = next(at for at in found["scales"] if at["scale"] == 1.0)
    assert {"to38", "cubo147"} <= set(at_one["complete"])


def test_the_command_prints_for_people(capsys):
    assert main(["library", "show", str(LIBRARIES / "Pt_L3.npz")]) == 0
    text = capsys.readouterr().out
    assert "Pt L3: 362 rows, 178 different sites" in text
    assert "sites missing: hcp_69 3" in text


def test_an_alloy_shows_its_motifs_and_shares(shared_libraries, capsys):
    path = shared_libraries / "Pd_K_in_PdAu.npz"
    assert main(["library", "show", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with np.load(path) as arrays:
        rows, motifs = len(arrays["site_id"]), set(arrays["motif"].tolist())
    assert (found["element"], found["edge"], found["variant"]) == ("Pd", "K", "in_PdAu")
    assert found["groups"]["motif"].keys() == motifs
    assert sum(found["groups"]["particle"].values()) == found["rows"] == rows
    assert found["ranges"]["x_au"] == [0.25, 0.75]
    assert found["scales"] == []


def test_an_alloy_has_no_crystal_to_hold_against_a_foil(
    shared_libraries, measured_spectra, capsys
):
    path, foil = (
        shared_libraries / "Pd_K_in_PdAu.npz",
        measured_spectra / "Pd_K_PFref.csv",
    )
    assert main(["library", "fit", str(path), "--foil", str(foil)]) == 2
    assert "no pure crystal" in capsys.readouterr().err


def test_a_folder_shows_all_its_libraries(shared_libraries, capsys):
    assert main(["library", "show", str(shared_libraries), "--json"]) == 0
    names = [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()]
    assert names == sorted(path.name for path in shared_libraries.glob("*.npz"))


def test_pictures_are_drawn_into_a_folder(tmp_path, capsys):
    path = LIBRARIES / "Pt_L3.npz"
    assert main(["library", "show", str(path), "--plot", str(tmp_path / "new")]) == 0
    drawn = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in drawn] == ["Pt_L3-differences.png", "Pt_L3-sites.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in drawn)


def test_what_is_no_library_is_wrong_usage(tmp_path, capsys):
    assert main(["library", "show", str(tmp_path)]) == 2
    assert "holds no library" in capsys.readouterr().err
    (tmp_path / "Pt_L3.npz").write_bytes(b"no archive")
    assert main(["library", "show", str(tmp_path)]) == 2
    assert "is not a training library" in capsys.readouterr().err


@pytest.mark.measured
def test_the_crystal_is_drawn_against_a_foil(measured_spectra, tmp_path, capsys):
    foil = str(measured_spectra / "Pt_L3_13IDC2001.csv")
    path = str(LIBRARIES / "Pt_L3.npz")
    asked = ["library", "show", path, "--plot", str(tmp_path), "--foil", foil]
    assert main(asked) == 0
    assert (tmp_path / "Pt_L3-foil.png").exists()


@pytest.mark.measured
def test_the_fit_is_printed_foil_by_foil(measured_spectra, capsys):
    foil = str(measured_spectra / "Pt_L3_13IDC2001.csv")
    other = str(measured_spectra / "BMM_Pt-L3-PtRu.csv") + "#mu_ref"
    path = str(LIBRARIES / "Pt_L3.npz")
    asked = ["library", "fit", path, "--foil", foil, "--check", other, "--json"]
    assert main(asked) == 0
    fitted, checked = (
        json.loads(line) for line in capsys.readouterr().out.splitlines()
    )
    assert (fitted["how"], checked["how"]) == ("fitted", "checked")
    assert fitted["r_factor"] < 0.0013
    assert checked["gaussian_ev"] == fitted["gaussian_ev"]
