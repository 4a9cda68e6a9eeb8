"""Which sites are the same: by symmetry, by their spectra, and over time.

By symmetry, two atoms are one site if all invariants of their surroundings agree; by
sensitivity, if their spectra are alike within what a measurement could tell; over time,
if the means of their spectra over frames stay alike.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xasnn_stream.libraries.structures import cut_out
from xasnn_stream.spectrum import FloatArray

ENVIRONMENT_A = 1.65
"""What of a crystal an atom sees, in lattice constants: five shells, 79 atoms."""

TOLERANCE_A = 1e-3
"""Within which two surroundings are the same."""

_ROUNDING = 1e-6
_NAME_DIGITS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """An atom's surroundings and their invariants, in units of the lattice constant.

    `positions` is `atoms x 3` about the atom, which is the first; `invariants` holds
    distances from it, distances of pairs, and the spectrum of the matrix of distances.
    """

    positions: FloatArray
    invariants: FloatArray

    @property
    def name(self) -> str:
        """A name for surroundings like these, 12 hex digits."""
        rounded = np.round(self.invariants / TOLERANCE_A).astype(np.int64)
        return hashlib.sha256(rounded.tobytes()).hexdigest()[:_NAME_DIGITS]


def surroundings(
    positions: FloatArray, atom: int, radius: float = ENVIRONMENT_A
) -> Surroundings:
    """Return what an atom of a cluster (`atoms x 3`) sees within `radius`."""
    near = cut_out(positions, atom, radius + _ROUNDING)
    apart = np.linalg.norm(near[:, None] - near, axis=-1)
    pairs = np.sort(apart[np.triu_indices(len(near), 1)])
    spectrum = np.linalg.eigvalsh(apart)
    found = np.concatenate((np.sort(apart[0]), pairs, spectrum))
    return Surroundings(near, np.asarray(found, float))


class SiteNames:
    """The sites met so far: the same surroundings get the same name."""

    def __init__(self, tolerance: float = TOLERANCE_A) -> None:
        self._tolerance = tolerance
        self._by_size: dict[int, list[tuple[FloatArray, str]]] = {}

    def of(self, seen: Surroundings) -> str:
        """Return the name of surroundings, that of the first ones alike."""
        met = self._by_size.setdefault(len(seen.positions), [])
        for invariants, name in met:
            if np.abs(invariants - seen.invariants).max() <= self._tolerance:
                return name
        met.append((seen.invariants, seen.name))
        return seen.name


def sites_of(
    positions: FloatArray,
    names: SiteNames | None = None,
    radius: float = ENVIRONMENT_A,
) -> dict[str, tuple[int, int]]:
    """Return the inequivalent sites of a cluster: name → (first atom, number of atoms).

    `names` carries names from cluster to cluster.
    """
    names = names or SiteNames()
    found: dict[str, tuple[int, int]] = {}
    for atom in range(len(positions)):
        name = names.of(surroundings(positions, atom, radius))
        first, many = found.get(name, (atom, 0))
        found[name] = (first, many + 1)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Covering:
    """Chosen spectra that stand for all others.

    `chosen` are indices, in the order they were chosen; `nearest` (`spectra`) is for
    every spectrum the position in `chosen` of the one that stands for it, `distance`
    (`spectra`) the root mean square between both.
    """

    chosen: tuple[int, ...]
    nearest: FloatArray
    distance: FloatArray


def sensitive_sites(mu: FloatArray, radius: float) -> Covering:
    """Choose spectra so that every other is within `radius` rms of one: greedily.

    Each step chooses the spectrum that covers most of those not yet covered, so dense
    regions come first; the smallest covering is not much smaller (Chvátal 1979).

    Parameters
    ----------
    mu
        `spectra x energies`.
    radius
        Root mean square difference below which two spectra cannot be told apart; for
        noise σ per point, about σ·√2.
    """
    norm = (mu**2).mean(1)
    squared = norm[:, None] + norm - 2 * mu @ mu.T / mu.shape[1]
    distance = np.sqrt(np.clip(squared, 0, None))
    np.fill_diagonal(distance, 0.0)
    covers = distance <= radius
    open_, chosen = np.ones(len(mu), bool), list[int]()
    while open_.any():
        gain = (covers & open_).sum(1)
        best = int(np.argmax(gain))
        chosen.append(best)
        open_ &= ~covers[best]
    to_chosen = distance[:, chosen]
    nearest = to_chosen.argmin(1)
    return Covering(tuple(chosen), nearest, to_chosen[np.arange(len(mu)), nearest])


@dataclass(frozen=True, slots=True, eq=False)
class OverTime:
    """Time-averaged spectra `mean` (`sites x energies`) and how well they are known.

    `deviation` (`sites`) is the rms difference of the means over both halves of the
    frames, halved: what the mean over all frames is off by.
    """

    mean: FloatArray
    deviation: FloatArray


def over_time(frames: Iterable[FloatArray]) -> OverTime:
    """Average the spectra of sites over frames of a trajectory.

    `frames` yields `sites x energies`, at least two, of the same sites.
    """
    sums, counts = [np.zeros(()), np.zeros(())], [0, 0]
    for number, frame in enumerate(frames):
        half = number % 2
        sums[half] = sums[half] + frame
        counts[half] += 1
    if not all(counts):
        raise ValueError("at least two frames are needed")
    apart = sums[0] / counts[0] - sums[1] / counts[1]
    mean = (sums[0] + sums[1]) / sum(counts)
    return OverTime(mean, np.sqrt((apart**2).mean(-1)) / 2)


def dynamic_sites(over: OverTime, radius: float) -> Covering:
    """Choose among time-averaged spectra, `radius` as for `sensitive_sites`.

    What the means are uncertain by cannot tell sites apart either: the radius is at
    least the largest deviation.
    """
    return sensitive_sites(over.mean, max(radius, float(over.deviation.max())))
