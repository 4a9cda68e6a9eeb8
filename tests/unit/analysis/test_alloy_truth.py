"""Simulated scans of both edges of an alloy that was never trained on, through analyze."""

import json

import numpy as np
import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.library import form, read_library
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.simulation.absorption import absorption
from xasnn_stream.simulation.nuisances import Scan, Theory

EDGES = ("Pd_K", "Au_L3")
NAMES = ("cn_pd_pd", "cn_pd_au", "cn_au_au", "cn_au_pd")
THEORY = Theory(stretch=1.025, fwhm_ev=1.5, amplitude=0.95)
ENERGIES = np.concatenate(
    [np.arange(-180, -30, 5), np.arange(-30, 60, 0.5), np.arange(60, 480, 2.0)]
)


@pytest.fixture(scope="module")
def libraries():
    folder = shipped_folder("models") / "libraries"
    return {part: read_library(folder / f"{part}_in_PdAu.npz") for part in EDGES}


@pytest.fixture
def analyze(libraries, tmp_path, capsys):
    """A function: scan both edges of a particle, and return what analyze prints."""
    rng = np.random.default_rng(1)

    def scan(part, particle):
        element, edge = part.split("_")
        at = edge_energy_ev(element, edge)
        seen = absorption(
            libraries[part],
            form(libraries[part], particle),
            at,
            theory=THEORY,
            scan=Scan(rng.uniform(-0.6, 0.6), rng.uniform(-0.01, 0.01), 0.0),
        )
        mu = np.interp(at + ENERGIES, seen.energy_ev, seen.mu)
        mu += 0.001 * rng.normal(size=len(mu))
        path = tmp_path / f"{particle.replace('/', '-')}-{part}.csv"
        header = f"# element: {element}\n# edge: {edge}\nenergy,mu"
        table = np.column_stack([at + ENERGIES, mu])
        np.savetxt(path, table, delimiter=",", header=header, comments="")
        return str(path)

    def analyze(particle, *arguments):
        files = [scan(part, particle) for part in EDGES]
        foils = [word for part in EDGES for word in ("--foil", scan(part, "bulk"))]
        given = ["--model", "pdau-xanes", *foils, *arguments, "--json"]
        assert main(["analyze", *files, *given]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return analyze


def truth(libraries, particle):
    found = []
    for part, library in libraries.items():
        rows = library.rows(1.0)
        sites = [rows[site] for site, _ in library.particles[particle]]
        share = np.array([count for _, count in library.particles[particle]], float)
        share /= share.sum()
        names = [name for name in NAMES if name.startswith(f"cn_{part[:2].lower()}")]
        found += [float(share @ library.columns[name][sites]) for name in names]
    return dict(zip(NAMES, found, strict=True))


def test_both_edges_of_an_unseen_alloy_tell_its_neighbours(libraries, analyze):
    particle = "to38/core_pd/0.5"
    true = truth(libraries, particle)
    gold = true["cn_pd_au"] / (true["cn_pd_au"] + true["cn_au_pd"])
    *_, joint = analyze(particle, "--composition", f"Pd{1 - gold:.3f}Au{gold:.3f}")
    for name, number in joint["descriptors"].items():
        assert number["value"] == pytest.approx(true[name], abs=1.0)
        low, high = number["interval"]
        assert low <= true[name] <= high
    implied, std = joint["implied_composition"]["Au"], joint["implied_composition_std"]
    assert implied == pytest.approx(gold, abs=3 * std)
    assert "inconsistent" not in [reason["code"] for reason in joint["reasons"]]


def test_particles_of_pure_metals_have_no_unlike_neighbours(libraries, analyze):
    pd, au, joint = analyze("hemi111_13")
    for estimate, own, other in ((pd, "pd", "au"), (au, "au", "pd")):
        unlike = estimate["descriptors"][f"cn_{own}_{other}"]
        assert 0.0 <= unlike["value"] <= 0.3
        assert unlike["interval"][0] == 0.0
        assert "beyond_domain" not in [each["code"] for each in estimate["reasons"]]
    assert joint["implied_composition"] is None


def test_a_wrong_composition_is_contradicted(analyze):
    *_, joint = analyze("to38/random/0.5", "--composition", "Pd0.9Au0.1")
    assert joint["verdict"] == "caution"
    assert [reason["code"] for reason in joint["reasons"]] == ["inconsistent"]
