"""Athena projects, SPEC, HDF5 and numpy; nothing is ever unpickled."""

import gzip
import io
import json

import h5py
import numpy as np
import pytest

from xasnn_stream.errors import FileError


def _perl(values):
    return "(" + ",".join(f"'{value:.9g}'" for value in values) + ")"


def _project(made, *records):
    lines = ["# Athena project file -- Demeter version 0.9.24", "# made in a test"]
    for group, arguments in records:
        pairs = ",".join(f"'{key}',{value}" for key, value in arguments.items())
        lines += [
            f"$old_group = '{group}';",
            f"@args = ({pairs});",
            f"@x = {_perl(made.energy)};",
            f"@y = {_perl(made.mu)};",
            "[record]   # create object and set arrays in ifeffit",
            "",
        ]
    return "\n".join([*lines, "1;"])


SAMPLE = {
    "label": "'it\\'s Pt/C, 20 K'",
    "bkg_z": "'Pt'",
    "fft_edge": "'l3'",
    "is_xmu": "1",
    "bkg_eshift": "'-0.7'",
    "titles": "['a, list','with ] in it']",
    "tag": "'abcde'",
}


@pytest.mark.parametrize("pack", [str.encode, lambda t: gzip.compress(t.encode())])
def test_every_group_of_a_project_is_a_scan(scans, made, pack):
    other = {"label": "'foil'", "bkg_z": "'Pt'", "fft_edge": "'L3'", "is_xmu": "1"}
    text = _project(made, ("abcde", SAMPLE), ("fghij", other))
    first, second = scans(pack(text), name="two.prj")
    assert (first.name, second.name) == ("it's Pt/C, 20 K", "foil")
    assert (first.facts.element, first.facts.edge) == ("Pt", "L3")
    np.testing.assert_allclose(first.channels["mu"], made.mu, rtol=1e-8)
    # As larch does: stored energies, and the user is told.
    np.testing.assert_allclose(first.energy_ev, made.energy)
    assert first.notes == ("the project's energy shift of -0.7 eV is not applied",)


def test_a_reference_tied_to_a_scan_comes_with_it(scans, made):
    reference = {
        "label": "'  Ref Pt/C'",
        "referencegroup": "'abcde'",
        "tag": "'fghij'",
        "is_xmu": "1",
    }
    sample, alone = scans(_project(made, ("abcde", SAMPLE), ("fghij", reference)))
    np.testing.assert_allclose(sample.channels["mu_reference"], made.mu, rtol=1e-8)
    assert "mu_reference" not in alone.channels


def test_groups_that_are_no_absorption_are_left_out_and_counted(scans, made):
    chi = {"label": "'chi'", "is_xmu": "0", "is_chi": "1"}
    (scan,) = scans(_project(made, ("abcde", SAMPLE), ("fghij", chi)))
    assert "groups of the project that are no readable μ(E): 1" in scan.notes
    with pytest.raises(FileError, match=r"of 1 groups .* none is a readable μ\(E\)"):
        scans(_project(made, ("fghij", chi)))


def test_a_broken_group_costs_only_itself(scans, made):
    project = _project(made, ("abcde", SAMPLE), ("fghij", SAMPLE))
    broken = project.replace("@x = (", "@x = ('no number',", 1)
    (scan,) = scans(broken)
    assert np.allclose(scan.energy_ev, made.energy)
    assert "groups of the project that are no readable μ(E): 1" in scan.notes


def test_projects_in_json_are_read(scans, made):
    record = {
        "args": {"label": "Pt foil", "bkg_z": "Pt", "fft_edge": "l3", "is_xmu": "1"},
        "x": [str(value) for value in made.energy],
        "y": made.mu.tolist(),
    }
    project = {
        "_____header1": "# Athena project file -- Demeter version 0.9.24",
        "_____journal": [""],
        "_____order": ["abcde"],
        "abcde": record,
    }
    (scan,) = scans(gzip.compress(json.dumps(project).encode()), name="new.prj")
    assert (scan.name, scan.facts.edge) == ("Pt foil", "L3")
    np.testing.assert_allclose(scan.channels["mu"], made.mu)


def test_a_damaged_project_is_refused(scans, made):
    text = _project(made, ("abcde", SAMPLE))
    with pytest.raises(FileError, match="without a single whole group"):
        scans(text[:500])
    with pytest.raises(FileError, match="none is a readable"):
        scans(text.replace("'11400'", "'many'"))
    with pytest.raises(FileError, match="damaged Athena project"):
        scans('{"_____header1": "# Athena project file", ')


def test_whole_groups_of_a_project_that_breaks_off_are_read(scans, made):
    text = _project(made, ("abcde", SAMPLE), ("fghij", SAMPLE))
    (scan,) = scans(text[:-300])
    assert "the project breaks off; groups may be missing" in scan.notes


def test_spec_scans_are_read_and_others_counted(scans, made):
    scan = (
        "#S {} ascan energy\n#D Sat Feb 25 09:53:52 2023\n#L Mono Energy  I0  I1\n{}\n"
    )
    motor = "#S 1 ascan th 0 1 10\n#L Theta Motor  Detector\n1 2\n2 3\n\n"
    body = made.rows(made.i0, made.it)
    text = (
        motor + scan.format(2, body) + scan.format(3, body) + "#S 4 aborted\n#L a  b\n"
    )
    second, third = scans(text)
    assert (second.name, third.name) == ("2", "3")
    assert second.facts.start == 1677318832.0
    assert second.notes == ("1 tables of this file are no absorption scans",)
    np.testing.assert_allclose(third.channels["it"], made.it, rtol=1e-8)


@pytest.fixture
def hdf5(scans):
    """A function: let another function fill an HDF5 file, and read its scans."""

    def read(fill):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            fill(file)
        return scans(buffer.getvalue(), name="scan.h5")

    return read


def test_groups_with_energy_and_absorption_are_scans(hdf5, made):
    def fill(file):
        for name in ("one", "two"):
            group = file.create_group(name)
            group["energy"], group["mu"] = made.energy, made.mu
            group.attrs.update({"element": "Pt", "edge": "L3", "score": 1})

    one, two = hdf5(fill)
    assert (one.name, two.name) == ("one", "two")
    assert (one.facts.element, one.facts.edge) == ("Pt", "L3")
    np.testing.assert_allclose(two.channels["mu"], made.mu)


def test_nexus_xas_is_read_across_its_groups(hdf5, made):
    def fill(file):
        entry = file.create_group("entry")
        entry["definition"] = "NXxas"
        entry["monochromator/energy"] = made.energy / 1000
        entry["monochromator/energy"].attrs["units"] = "keV"
        entry["incoming_beam/data"] = made.i0
        entry["absorbed_beam/data"] = made.it
        entry["sample/name"] = "Pt foil"
        entry["sample/temperature"] = 20.0
        entry["data/energy"] = h5py.SoftLink("/entry/monochromator/energy")
        entry["data/absorbed_beam"] = h5py.SoftLink("/entry/absorbed_beam/data")

    (scan,) = hdf5(fill)
    np.testing.assert_allclose(scan.energy_ev, made.energy)
    np.testing.assert_allclose(scan.channels["i0"], made.i0)
    np.testing.assert_allclose(scan.channels["it"], made.it)
    assert (scan.facts.sample, scan.facts.temperature_k) == ("Pt foil", 20.0)


def test_frames_over_one_energy_axis_are_scans(hdf5, made):
    def fill(file):
        file["energy"] = made.energy
        file["mu"] = np.stack([made.mu, 2 * made.mu])
        file["foil_mu"] = 3 * made.mu

    first, second = hdf5(fill)
    assert (first.name, second.name) == ("[0]", "[1]")
    np.testing.assert_allclose(second.channels["mu"], 2 * made.mu)
    np.testing.assert_allclose(second.channels["mu_reference"], 3 * made.mu)


def test_links_in_circles_to_nowhere_and_to_other_files_are_passed_over(hdf5, made):
    def fill(file):
        file["energy"], file["i0"], file["it"] = made.energy, made.i0, made.it
        file["loop"] = h5py.SoftLink("/")
        file["nowhere"] = h5py.SoftLink("/gone")
        file["other"] = h5py.ExternalLink("/etc/hostname", "/data")

    (scan,) = hdf5(fill)
    np.testing.assert_allclose(scan.channels["it"], made.it)


def test_hdf5_without_a_scan_says_what_it_has(hdf5, scans, made):
    with pytest.raises(FileError, match="its datasets are picture"):
        hdf5(lambda file: file.create_dataset("picture", (5, 5), "f8"))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["energy"] = made.energy
    with pytest.raises(FileError, match="truncated or damaged HDF5"):
        scans(buffer.getvalue()[:700])


def _saved(save, *arrays, **named):
    buffer = io.BytesIO()
    save(buffer, *arrays, **named)
    return buffer.getvalue()


def test_numpy_arrays_are_read_in_every_form(scans, made):
    record = np.rec.fromarrays([made.energy, made.i0, made.it], names="energy,i0,it")
    for content, name in (
        (_saved(np.save, np.column_stack([made.energy, made.mu])), "a.npy"),
        (_saved(np.save, np.stack([made.energy, made.mu])), "b.npy"),
        (_saved(np.save, record), "c.npy"),
        (_saved(np.savez, energy=made.energy, mu=made.mu), "d.npz"),
        (_saved(np.savez, energy=made.energy, mu=np.stack([made.mu] * 2)), "e.npz"),
    ):
        scan = scans(content, name=name)[-1]
        i0, it = scan.channels.get("i0"), scan.channels.get("it")
        mu = scan.channels["mu"] if i0 is None else np.log(i0 / it)
        np.testing.assert_allclose(mu, made.mu, err_msg=name)
        np.testing.assert_allclose(scan.energy_ev, made.energy, err_msg=name)


class _Exploding:
    def __reduce__(self):
        return (AssertionError, ("unpickled",))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (
            _saved(np.save, np.array([_Exploding()], object), allow_pickle=True),
            "object.npy",
            "Object arrays cannot be loaded",
        ),
        (
            _saved(np.savez, energy=np.array([_Exploding()], object)),
            "object.npz",
            "Object arrays cannot be loaded",
        ),
        (_saved(np.save, np.zeros(5)), "line.npy", r"an array \(5,\) of float64"),
        (_saved(np.savez, foo=np.zeros(5)), "foo.npz", r"no energy .* foo \(5,\)"),
        (_saved(np.save, np.zeros((50, 2)))[:200], "cut.npy", "no numpy file"),
        (_saved(np.savez, energy=np.zeros(50))[:100], "cut.npz", "no numpy file"),
    ],
)
def test_what_is_no_table_of_numpy_is_refused(scans, content, name, message):
    with pytest.raises(FileError, match=message):
        scans(content, name=name)
