"""Every row of the documentation's table of abuse has the verdict and numbers it says."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.reduction.normalize_files import Cleaning, Request, normalize_files
from xasnn_stream.reduction.normalized_scan import NormalizedScan

PAGE = Path(__file__).parents[3] / "docs" / "normalize.md"
ROW = re.compile(r"^\| ([^|`]+?)(, `--jumps repair`)? \| (refused: )?([^|]+) \|(.*)\|$")
PLATINUM = "Element.symbol: Pt\nElement.edge: L3"
K_RANGE = (2.0, 10.0)
E0 = 11564.0
STEP = 0.924

Pair = tuple[np.ndarray, np.ndarray]


def foil() -> Pair:
    """Return energy (eV) and μ of the example foil."""
    energy, i0, it = np.loadtxt(PAGE.parent / "examples" / "foil.dat", unpack=True)
    return energy, np.log(i0 / it)


def _at(relative: float) -> int:
    return int(np.argmin(np.abs(foil()[0] - E0 - relative)))


def _set(value: float, relative: float) -> Pair:
    energy, mu = foil()
    mu[_at(relative)] = value
    return energy, mu


def _between(low: float, high: float) -> Pair:
    energy, mu = foil()
    inside = (energy >= E0 + low) & (energy <= E0 + high)
    return energy[inside], mu[inside]


def _every(count: int) -> Pair:
    energy, mu = foil()
    chosen = np.linspace(0, len(energy) - 1, count).round().astype(int)
    return energy[chosen], mu[chosen]


def _order(order: Callable[[int], np.ndarray]) -> Pair:
    energy, mu = foil()
    index = order(len(energy))
    return energy[index], mu[index]


def _one_back_step(count: int) -> np.ndarray:
    index, at = np.arange(count), _at(100.0)
    index[[at, at + 1]] = index[[at + 1, at]]
    return index


def _jump(share: float) -> Pair:
    energy, mu = foil()
    return energy, mu + np.where(energy > E0 + 150.0, share * STEP, 0.0)


def _glitch(share: float) -> Pair:
    energy, mu = foil()
    mu[_at(150.0)] += share * STEP
    return energy, mu


def _noise(sigma: float) -> Pair:
    energy, mu = foil()
    rng = np.random.default_rng(4)
    return energy, mu + sigma * STEP * rng.standard_normal(len(mu))


def _scaled(of_energy: float = 1.0, of_mu: float = 1.0, plus: float = 0.0) -> Pair:
    energy, mu = foil()
    return of_energy * energy, of_mu * mu + plus


ABUSED: Mapping[str, Callable[[], Pair]] = {
    "one NaN above the edge": lambda: _set(np.nan, 100.0),
    "one infinity (I0 = 0) above the edge": lambda: _set(np.inf, 100.0),
    "NaN everywhere": lambda: _scaled(plus=np.nan),
    "zero everywhere": lambda: _scaled(of_mu=0.0),
    "a constant": lambda: _scaled(of_mu=0.0, plus=1.0),
    "reversed energies": lambda: _order(lambda n: np.arange(n)[::-1]),
    "shuffled": lambda: _order(np.random.default_rng(1).permutation),
    "one step back": lambda: _order(_one_back_step),
    "one energy twice": lambda: _order(lambda n: np.sort(np.r_[np.arange(n), 200])),
    "every energy twice": lambda: _order(lambda n: np.repeat(np.arange(n), 2)),
    "12 points": lambda: _every(12),
    "20 points": lambda: _every(20),
    "no pre-edge: from 5 eV before it": lambda: _between(-5.0, 1000.0),
    "post-edge only": lambda: _between(40.0, 1000.0),
    "pre-edge only": lambda: _between(-1000.0, -2.0),
    "ends 15 eV above the edge": lambda: _between(-1000.0, 15.0),
    "ends 60 eV above the edge": lambda: _between(-1000.0, 60.0),
    "ends 150 eV above the edge": lambda: _between(-1000.0, 150.0),
    "energies in keV": lambda: _scaled(of_energy=1e-3),
    "upside down": lambda: _scaled(of_mu=-1.0, plus=3.0),
    "one point 0.1 steps high at mid k": lambda: _glitch(0.1),
    "one point 1.5 steps high at mid k": lambda: _glitch(1.5),
    "a jump of 30 % of the step": lambda: _jump(0.3),
    "white noise of 0.2 % of the step": lambda: _noise(0.002),
    "white noise of 1 % of the step": lambda: _noise(0.01),
    "white noise of 3 % of the step": lambda: _noise(0.03),
    "white noise of 10 % of the step": lambda: _noise(0.1),
    "white noise of 30 % of the step": lambda: _noise(0.3),
}
"""By the name of its row in the table."""


def write(path: Path, pair: Pair, header: str = "") -> Path:
    """Write a curve as column text; `header` are lines of an XDI header."""
    lines = [f"# {line}" for line in (*header.splitlines(), "energy mu")]
    points = zip(pair[0].tolist(), pair[1].tolist(), strict=True)
    lines += [f"{energy!r} {mu!r}" for energy, mu in points]
    path.write_text("\n".join(lines) + "\n")
    return path


def table() -> dict[str, list[str]]:
    """Return the rows of the table: repaired or not, refused or not, codes, numbers."""
    text = PAGE.read_text().partition("## What it makes of abuse")[2].partition("##")[0]
    rows = [found for line in text.splitlines() if (found := ROW.match(line))]
    return {
        name + (option or ""): [option or "", refused or "", codes, *cells.split(" | ")]
        for name, option, refused, codes, cells in (row.groups() for row in rows[1:])
    }


@pytest.fixture(scope="module")
def reduce(tmp_path_factory) -> Callable[..., NormalizedScan]:
    """A function: normalize a curve from a file with or without a header."""
    folder = tmp_path_factory.mktemp("abuse")

    def reduce(pair, header=PLATINUM, **cleaning) -> NormalizedScan:
        file = write(folder / "scan.dat", pair, header)
        (scan,) = normalize_files(Request((file,), cleaning=Cleaning(**cleaning)))
        return scan

    return reduce


@pytest.fixture(scope="module")
def clean(reduce) -> NormalizedScan:
    """The foil as it is."""
    return reduce(foil())


def verdict(scan: NormalizedScan) -> list[str]:
    """Return the problem, else the flags."""
    return [scan.problem.code] if scan.problem else [flag.code for flag in scan.flags]


def k2chi_error(scan: NormalizedScan, clean: NormalizedScan) -> float:
    """Return the rms error of k²χ over its peak, NaN without χ."""
    k, chi = clean.arrays["k"], clean.arrays["chi"]
    used = (k >= K_RANGE[0]) & (k <= K_RANGE[1])
    peak = np.abs(k**2 * chi)[used].max()
    used &= k <= max(scan.arrays["k"], default=0.0)
    if not used.any():
        return np.nan
    found = np.interp(k, scan.arrays["k"], scan.arrays["chi"])
    return float(np.sqrt(np.mean((k**2 * (found - chi))[used] ** 2)) / peak)


def test_the_table_has_every_abuse():
    assert {row.partition(", `--jumps")[0] for row in table()} == set(ABUSED)


@pytest.mark.parametrize("row", table())
def test_a_row_of_abuse_is_as_the_page_says(row, reduce, clean):
    option, refused, codes, *cells = table()[row]
    name = row.removesuffix(option)
    scan = reduce(ABUSED[name](), **({"jumps": "repair"} if option else {}))
    assert verdict(scan) == re.findall(r"`(\w+)`", codes)
    assert bool(scan.problem) == bool(refused)
    if refused:
        assert scan.arrays == {}
        return
    e0, step, k2chi = (re.findall(r"-?[\d.]+", cell) for cell in cells)
    quality, whole = scan.quality, clean.quality["edge_step"]
    shift = quality["e0_ev"] - clean.quality["e0_ev"]
    assert shift == pytest.approx(float(e0[0]), abs=0.06)
    apart = 100 * (quality["edge_step"] / whole - 1)
    error = 100 * quality["edge_step_std"] / whole
    assert [apart, error] == pytest.approx([float(n) for n in step], rel=0.02, abs=0.06)
    assert abs(apart) < 2 * error
    found = 100 * k2chi_error(scan, clean)
    if k2chi:
        assert found == pytest.approx(float(k2chi[0]), rel=0.02, abs=0.06)
    else:
        assert np.isnan(found)


UNTOLD = {
    "post-edge only": "no_edge",
    "pre-edge only": "no_post_edge",
    "no pre-edge: from 5 eV before it": "no_pre_edge",
    "white noise of 30 % of the step": "no_edge",
}


@pytest.mark.parametrize("name", UNTOLD)
def test_without_a_header_what_is_no_edge_is_refused_as_well(name, reduce):
    scan = reduce(ABUSED[name](), header="")
    assert verdict(scan) == [UNTOLD[name]]


def test_a_spoilt_scan_does_not_touch_its_neighbours(tmp_path, clean):
    files = [
        write(tmp_path / f"{number}.dat", make(), PLATINUM)
        for number, make in enumerate([foil, *ABUSED.values(), foil])
    ]
    first, *_, last = normalize_files(Request(tuple(files)))
    for scan in (first, last):
        assert scan.quality["edge_step"] == pytest.approx(
            clean.quality["edge_step"], rel=1e-10
        )
        assert scan.arrays["chi"] == pytest.approx(clean.arrays["chi"], abs=1e-9)


def test_counts_of_zero_are_left_out(tmp_path, clean):
    energy, i0, it = np.loadtxt(PAGE.parent / "examples" / "foil.dat", unpack=True)
    i0[200] = 0.0
    lines = ["# energy i0 it", *map("{} {} {}".format, energy, i0, it)]
    (tmp_path / "foil.dat").write_text("\n".join(lines))
    (scan,) = normalize_files(Request((tmp_path / "foil.dat",)))
    assert verdict(scan) == ["not_finite"]
    assert scan.quality["edge_step"] == pytest.approx(
        clean.quality["edge_step"], rel=1e-3
    )


@pytest.mark.parametrize("name", ["reversed energies", "one NaN above the edge"])
def test_bins_of_a_spoilt_scan_are_those_of_the_clean_one(name, reduce):
    wanted, scan = reduce(foil(), rebin=True), reduce(ABUSED[name](), rebin=True)
    assert scan.arrays["energy"] == pytest.approx(wanted.arrays["energy"], abs=1e-6)
    # The interpolated point differs by the noise of its neighbours.
    assert scan.arrays["norm"] == pytest.approx(wanted.arrays["norm"], abs=0.005)
