"""What coordination numbers tell of size and shape: the figures of docs/size-and-shape.md.

    python -m tests.bench.sizes

Errors are drawn with the covariance of `DEVIATIONS` and one correlation between all
shells; sizes are distributed log-normally by number of particles.
"""

import json
import math
from collections.abc import Iterator

import numpy as np

from xasnn_stream.estimate import Descriptor, Size
from xasnn_stream.library import BULK, SHELL_BULK_CN, form, read_library
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.size.families import families
from xasnn_stream.size.particle import SHELLS, size_of, sphere_diameter
from xasnn_stream.spectrum import FloatArray

LIBRARIES = shipped_folder("models") / "libraries"
DEVIATIONS = np.array([0.35, 0.35, 1.2, 0.7])
CORRELATION = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
DRAWS = 400
LATTICE = 3.924
MEDIAN_NM, WIDTHS = 2.0, (0.1, 0.2, 0.3, 0.4)
BULK_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75)


def sized(cn: FloatArray, factor: float = 1.0) -> Size:
    """Return the size of cn1…cn4 with deviations a factor of `DEVIATIONS`."""
    descriptors = {
        name: Descriptor(c, s, 0, 0, s, (c - 1.645 * s, c + 1.645 * s), 0.9)
        for name, c, s in zip(
            SHELLS, cn.tolist(), (factor * DEVIATIONS).tolist(), strict=True
        )
    }
    found = size_of(descriptors, CORRELATION, "Pt")
    if found is None:
        raise SystemExit("no size of four coordination numbers")
    return found


def drawn(cn: FloatArray, rng: np.random.Generator, factor: float = 1.0) -> list[Size]:
    """Return sizes from coordination numbers with errors."""
    covariance = CORRELATION * np.outer(DEVIATIONS, DEVIATIONS) * factor**2
    errors = rng.multivariate_normal(np.zeros(4), covariance, DRAWS)
    return [sized(cn + error, factor) for error in errors]


def particles() -> Iterator[tuple[str, int, FloatArray]]:
    """Give name, atoms and coordination numbers of every complete particle."""
    library = read_library(LIBRARIES / "Pt_L3.npz")
    index = json.loads((LIBRARIES / "particles.json").read_text())["particles"]
    for name in library.complete(1.0):
        if name != BULK:
            yield name, index[name]["natoms"], form(library, name).cn


def show_particles(rng: np.random.Generator) -> None:
    """Print how well every particle of the library is read."""
    print("particle        atoms  interval (median)  covered  shape told  a mixture")
    rows: list[tuple[float, float, float]] = []
    for name, atoms, cn in particles():
        sizes = drawn(cn, rng)
        ends = np.array([s.atoms.interval for s in sizes], float)
        ends[np.isnan(ends)] = np.inf
        covered = np.mean((ends[:, 0] <= atoms) & (atoms <= ends[:, 1]))
        told = np.mean([s.distinguishable for s in sizes])
        mixture = np.mean([not s.consistent for s in sizes])
        low, high = np.median(ends, axis=0)
        print(
            f"{name:14} {atoms:6d}  {low:6.0f}–{high:<8.0f}   {covered:8.0%}"
            f" {told:10.0%} {mixture:10.0%}"
        )
        rows.append((covered, told, mixture))
    covered, told, mixture = np.mean(rows, axis=0)
    print(f"all of {len(rows)}: {covered:.1%} covered, {told:.1%} told, {mixture:.1%}")


def show_widths(rng: np.random.Generator) -> None:
    """Print how sure a size is, by the size and by how well cn1…cn4 are known."""
    known = families()
    k = known.names.index("truncated octahedron")
    print("\ntruncated octahedra: diameter / nm   interval, as above   errors a third")
    for nm in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0):
        atoms = 2 * math.pi / 3 * (10 * nm / LATTICE) ** 3
        at = int(np.abs(np.log(known.atoms[k] / atoms)).argmin())
        truth = sphere_diameter(float(known.atoms[k, at]), LATTICE) / 10
        texts = [_median(drawn(known.cn[k, at], rng, factor)) for factor in (1, 1 / 3)]
        print(f"{truth:34.1f}   {texts[0]:18}   {texts[1]}")


def _median(sizes: list[Size]) -> str:
    ends = np.array([s.diameter.interval for s in sizes], float) / 10
    ends[np.isnan(ends)] = np.inf
    low, high = np.median(ends, axis=0)
    told = np.mean([s.distinguishable for s in sizes])
    return f"{low:.1f}–{high:.1f}, told {told:.0%}"


def show_distributions() -> None:
    """Print what is read of spheres of many sizes, without errors of cn1…cn4."""
    known = families()
    k = known.names.index("truncated octahedron")
    diameter = np.array([sphere_diameter(n, LATTICE) / 10 for n in known.atoms[k]])
    print(f"\nlog-normal about {MEDIAN_NM} nm: sigma, mean, Sauter mean, read, chi2")
    for width in WIDTHS:
        number = np.exp(-np.square(np.log(diameter / MEDIAN_NM) / width) / 2)
        by_atoms = number * known.atoms[k]
        cn = by_atoms @ known.cn[k] / by_atoms.sum()
        mean = number @ diameter / number.sum()
        sauter = (number @ diameter**3) / (number @ diameter**2)
        found = sized(cn)
        print(
            f"{width:5.1f} {mean:8.2f} {sauter:8.2f}   {_nanometres(found)}"
            f" {found.chi2:6.2f}"
        )


def show_bulk_shares() -> None:
    """Print what is read of small particles beside large crystals."""
    cn = {name: cn for name, _, cn in particles()}["to38"]
    print("\nto38 (1.0 nm) with a share of atoms in the crystal: read, chi2")
    for share in BULK_SHARES:
        found = sized((1 - share) * cn + share * np.array(SHELL_BULK_CN))
        print(f"{share:5.2f}   {_nanometres(found)} {found.chi2:6.2f}")


def _nanometres(found: Size) -> str:
    low, high = found.diameter.interval
    if found.diameter.value is None or high is None:
        return f"above {low / 10:.1f} nm"
    return f"{found.diameter.value / 10:.2f} nm ({low / 10:.1f}–{high / 10:.1f})"


def main() -> None:
    """Print all figures."""
    rng = np.random.default_rng(20261122)
    show_particles(rng)
    show_widths(rng)
    show_distributions()
    show_bulk_shares()


if __name__ == "__main__":
    main()
