import json

import numpy as np
import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.libraries.structures import particle
from xasnn_stream.libraries.unique_sites import (
    SiteNames,
    dynamic_sites,
    over_time,
    sensitive_sites,
    sites_of,
    surroundings,
)
from xasnn_stream.library import library_of
from xasnn_stream.shipped import shipped_folder

SMALL = ("oct6", "cubo13", "ico13", "hemi111_13", "hcp_13", "hemi100_14", "oct19")
MIDDLE = ("hcp_19", "deca23", "raft111x1_13", "to38", "sphO_38", "cubo55", "ico55")


@pytest.mark.parametrize("name", SMALL + MIDDLE)
def test_symmetry_finds_the_inequivalent_sites_of_the_library(pt_contents, name):
    library = library_of(pt_contents)
    rows = library.rows(1.0)
    theirs = [(site, many) for site, many in library.particles[name]]
    spectra = library.mu[[rows[site] for site, _ in theirs]]
    ours = sorted(many for _, many in sites_of(particle(name)).values())
    # Two sites of the library are one if even their computed spectra are the same.
    same = sensitive_sites(spectra, 1e-5)
    counts = np.zeros(len(same.chosen), int)
    np.add.at(counts, same.nearest, [many for _, many in theirs])
    assert ours == sorted(counts.tolist())


def test_names_are_the_same_from_particle_to_particle_and_run_to_run():
    names = SiteNames()
    ball = sites_of(particle("sphO_38"), names)
    octahedron = sites_of(particle("to38"), names)
    assert ball.keys() == octahedron.keys()
    assert sites_of(particle("to38")).keys() == octahedron.keys()
    assert not sites_of(particle("ico13"), names).keys() & octahedron.keys()


def test_turning_mirroring_and_shaking_a_little_change_no_site():
    rng = np.random.default_rng(3)
    positions = particle("hemi111_13")
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    names = SiteNames()
    before = sites_of(positions, names)
    shaken = positions @ turn * [1, 1, -1] + rng.normal(scale=2e-5, size=(13, 3))
    after = sites_of(shaken, names)
    assert {n: many for n, (_, many) in after.items()} == {
        n: many for n, (_, many) in before.items()
    }
    moved = positions.copy()
    moved[0] *= 1.05
    assert len(sites_of(moved, names)) > len(before)


def test_what_lies_beyond_the_radius_is_not_seen():
    positions = particle("cubo147")
    centre = int(np.argmin(np.linalg.norm(positions, axis=1)))
    assert len(surroundings(positions, centre, 0.8).positions) == 13
    assert len(surroundings(positions, centre).positions) == 79


def test_every_spectrum_is_within_the_radius_of_one_chosen(pt_contents):
    library = library_of(pt_contents)
    mu = library.mu[list(library.rows(1.0).values())]
    numbers = []
    for radius in (0.002, 0.005, 0.02):
        found = sensitive_sites(mu, radius)
        chosen = mu[np.array(found.chosen)[found.nearest]]
        rms = np.sqrt(((mu - chosen) ** 2).mean(1))
        np.testing.assert_allclose(found.distance, rms, atol=1e-6)
        assert found.distance.max() <= radius
        numbers.append(len(found.chosen))
    assert len(mu) > numbers[0] > numbers[1] > numbers[2] >= 1


def test_dense_regions_are_covered_first():
    mu = np.array([[0.0], [0.1], [0.2], [5.0]])
    assert sensitive_sites(mu, 0.1).chosen == (1, 3)
    assert sensitive_sites(mu, 0.0).chosen == (0, 1, 2, 3)


def test_the_deviation_of_a_mean_falls_with_the_number_of_frames():
    rng = np.random.default_rng(5)
    still = np.stack((np.zeros(400), np.ones(400)))

    def frames(many: int):
        return (still + rng.normal(scale=0.1, size=still.shape) for _ in range(many))

    short, long = over_time(frames(16)), over_time(frames(1024))
    # The mean of n frames is off by 0.1/√n.
    np.testing.assert_allclose(short.deviation, 0.1 / 4, rtol=0.15)
    np.testing.assert_allclose(long.deviation, 0.1 / 32, rtol=0.15)
    np.testing.assert_allclose(long.mean, still, atol=0.02)
    with pytest.raises(ValueError, match="two frames"):
        over_time([still])


def test_sites_alike_within_what_motion_leaves_open_are_one():
    rng = np.random.default_rng(6)
    still = np.stack((np.zeros(400), np.full(400, 0.01), np.ones(400)))
    shaking = [still + rng.normal(scale=0.1, size=still.shape) for _ in range(16)]
    assert len(dynamic_sites(over_time(shaking), 0.0).chosen) == 3
    assert len(dynamic_sites(over_time(shaking), 0.05).chosen) == 2
    assert len(dynamic_sites(over_time([still, still]), 0.0).chosen) == 3


def test_the_command_counts_what_can_be_told_apart(capsys):
    path = str(shipped_folder("models") / "libraries" / "Pt_L3.npz")
    assert main(["library", "sites", path, "--radius", "0.005", "0.01", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    scales = {row["scale"] for row in rows}
    assert len(rows) == 2 * len(scales)
    for row in rows:
        assert len(row["chosen"]) == row["distinct"] < row["sites"]
        assert row["largest_distance"] <= row["radius"]
    assert main(["library", "sites", path]) == 0
    assert "sites differ by more" in capsys.readouterr().out
    assert main(["library", "sites", path, "--radius", "-1"]) == 2
