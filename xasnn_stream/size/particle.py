"""From the descriptors of an estimate to the size and the shape of its particles."""

import math
from collections.abc import Mapping

import numpy as np

from xasnn_stream.clusters import NEIGHBOUR
from xasnn_stream.estimate import Descriptor, Extent, Shape, Size
from xasnn_stream.size.families import families
from xasnn_stream.size.posterior import WORST_FIT, Posterior, posterior
from xasnn_stream.spectrum import FloatArray

DISTINCT = 10.0
"""Bayes factor from which the best shape is told from the next: strong evidence begins
there (Jeffreys' scale; Kass and Raftery, J. Am. Stat. Assoc. 90, 773 (1995))."""

SHELLS = ("cn1", "cn2", "cn3", "cn4")

_LATTICE = {
    "Ag": 4.086,
    "Au": 4.078,
    "Cu": 3.615,
    "Ir": 3.839,
    "Ni": 3.524,
    "Pd": 3.890,
    "Pt": 3.924,
    "Rh": 3.803,
}
"""Lattice constants of fcc metals, angstrom, for models that do not tell r1."""

_HALF_WIDTH_90 = 1.645
_OWN_SHARE = 0.05
"""Of each variance, taken as independent: a correlation known from few particles may be
nearly singular, and would then exclude what it cannot."""
_LEAST_RANKED = 0.001
_NAMED, _LEAST_NAMED = 3, 0.05
"""How many shapes a sentence names at most, and from which probability."""


def size_of(
    descriptors: Mapping[str, Descriptor],
    correlation: FloatArray | None,
    element: str,
) -> Size | None:
    """Return size and shape, None where one of cn1…cn4 or its interval is missing.

    Parameters
    ----------
    descriptors
        Of one estimate.
    correlation
        Of the errors of cn1…cn4, `4 x 4`; None if unknown, then they are taken as
        independent.
    element
        Whose lattice constant gives angstrom where there is no r1; without either,
        sizes in angstrom are unknown and the whole is None.
    """
    shells = [descriptors[name] for name in SHELLS if name in descriptors]
    lattice = _lattice_constant(descriptors, element)
    if len(shells) < len(SHELLS) or lattice is None:
        return None
    deviations = [_deviation(shell) for shell in shells]
    values = np.array([shell.value for shell in shells])
    s = np.array(deviations, float)  # NaN where there is no interval
    if not (np.isfinite(values).all() and np.isfinite(s).all() and (s > 0).all()):
        return None
    known = np.eye(len(s)) if correlation is None else correlation
    known = (1 - _OWN_SHARE) * known + _OWN_SHARE * np.eye(len(s))
    found = posterior(values, known * np.outer(s, s))
    return _size(found, lattice, correlation is not None)


def sphere_diameter(atoms: float, lattice: float) -> float:
    """Return the diameter of a sphere of so many atoms; unit of the lattice constant.

    Four atoms per lattice constant cubed: d = a (3 N / 2π)^(1/3).
    """
    return lattice * (3 * atoms / (2 * math.pi)) ** (1 / 3)


def _deviation(shell: Descriptor) -> float | None:
    """Return a standard deviation of the calibrated interval's width."""
    if shell.interval is None:
        return None
    low, high = shell.interval
    return (high - low) / 2 / _HALF_WIDTH_90


def _lattice_constant(
    descriptors: Mapping[str, Descriptor], element: str
) -> float | None:
    if "r1" in descriptors:
        return descriptors["r1"].value / NEIGHBOUR
    return _LATTICE.get(element)


def _size(found: Posterior, lattice: float, correlated: bool) -> Size:
    low, median, high = found.atoms
    atoms = _extent(low, median, high)
    diameter = _extent(
        *(sphere_diameter(n, lattice) for n in found.atoms), unit="angstrom"
    )
    share: list[float] = found.probability.tolist()
    shapes = tuple(
        Shape(
            name=families().names[k],
            probability=share[k],
            atoms=_bounded(float(found.family_atoms[k])),
            across=_bounded(float(found.across[k]) * lattice),
        )
        for k in sorted(range(len(share)), key=lambda k: -share[k])
        if share[k] >= _LEAST_RANKED
    )
    best, rival, *_ = sorted(share, reverse=True)
    consistent = found.chi2 <= WORST_FIT
    # Of shapes none of which fits, the best is not told from the others.
    distinguishable = consistent and best >= DISTINCT * rival
    return Size(
        atoms=atoms,
        diameter=diameter,
        shapes=shapes,
        distinguishable=distinguishable,
        consistent=consistent,
        chi2=found.chi2,
        text=_text(atoms, diameter, shapes, distinguishable, consistent, correlated),
    )


def _extent(low: float, median: float, high: float, unit: str = "") -> Extent:
    upper = _bounded(high)
    return Extent(None if upper is None else median, (low, upper), unit)


def _bounded(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _text(
    atoms: Extent,
    diameter: Extent,
    shapes: tuple[Shape, ...],
    distinguishable: bool,
    consistent: bool,
    correlated: bool,
) -> str:
    sentences = [_size_text(atoms, diameter)]
    likely = ", ".join(
        f"{shape.name} {shape.probability:.0%}"
        for shape in shapes[:_NAMED]
        if shape.probability >= _LEAST_NAMED
    )
    shape = f"{shapes[0].name} ({shapes[0].probability:.0%})"
    sentences.append(
        f"shape: {shape}" if distinguishable else f"shape not distinguishable: {likely}"
    )
    if not consistent:
        sentences.append(
            "cn1 to cn4 are not those of any single size: a mixture of sizes, or not "
            "metal particles of these shapes"
        )
    if not correlated:
        sentences.append("errors of cn1 to cn4 taken as independent")
    return "if all particles are alike: " + "; ".join(sentences)


def _size_text(atoms: Extent, diameter: Extent) -> str:
    least, most = atoms.interval
    thin, thick = (None if d is None else d / 10 for d in diameter.interval)
    if atoms.value is None or diameter.value is None or most is None or thick is None:
        return f"at least {_round(least)} atoms, {thin:.1f} nm; no upper bound"
    return (
        f"{_round(atoms.value)} atoms ({_round(least)}–{_round(most)}), "
        f"{diameter.value / 10:.1f} nm ({thin:.1f}–{thick:.1f})"
    )


def _round(atoms: float) -> str:
    """Return a number of atoms to two digits, which is all that is known of it."""
    digits = max(0, math.floor(math.log10(atoms)) - 1)
    return f"{round(atoms, -digits):.0f}"
