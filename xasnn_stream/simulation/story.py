"""The story of a simulated series: particles sinter, break up again, and oxidize.

Only particles that training never saw appear, and the truth of every sweep is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xasnn_stream.errors import ModelError, UsageError
from xasnn_stream.library import Formed, Library
from xasnn_stream.manifest import MANIFEST, read_manifest, reading
from xasnn_stream.simulation.absorption import form_sample
from xasnn_stream.simulation.nuisances import ROOM_K, Condition, draw_condition

HOTTEST_K = 573.0

SINTERING_SHARE = 0.65
"""Of the series; the rest breaks the particles up again, in larger steps."""

AIR_FROM = 0.88
"""Of the series; from here air leaks in and the particles oxidize until its end."""


@dataclass(frozen=True, slots=True, eq=False)
class Chapter:
    """One sweep of the series: what is in the beam and the truth about it.

    `parts` are particles with their share of atoms.
    """

    parts: tuple[tuple[str, float], ...]
    temperature_k: float
    condition: Condition
    formed: Formed

    @property
    def sample(self) -> str:
        """A name a person can read, such as `0.70 to38 + 0.30 cubo55`."""
        names = [f"{share:.2f} {particle}" for particle, share in self.parts]
        metal = self.parts[0][0] if len(names) == 1 else " + ".join(names)
        oxidized = self.condition.oxidized
        return f"{metal}, {oxidized:.0%} oxidized" if oxidized else metal

    @property
    def truth(self) -> dict[str, float]:
        """The descriptors' true values, cn1 to cn4 and r1 (Å), and the oxidized share.

        The metal's: an oxide on it changes the spectrum, not these numbers.
        """
        names = [f"cn{shell}" for shell in range(1, len(self.formed.cn) + 1)]
        values = dict(zip(names, self.formed.cn.tolist(), strict=True))
        oxidized = self.condition.oxidized
        return {**values, "r1": self.formed.r1, "oxidized": oxidized}


def held_out_particles(model_folder: Path) -> tuple[str, ...]:
    """Read from a model's manifest which particles its training never saw.

    Raises
    ------
    ModelError
        If the manifest cannot be read or names none.
    """
    manifest = read_manifest(model_folder)
    with reading(model_folder / MANIFEST):
        names = tuple(str(name) for name in manifest.document.get("held_out", ()))
    if not names:
        raise ModelError(f"{model_folder / MANIFEST} names no held-out particles")
    return names


def tell(
    library: Library, particles: Sequence[str], scans: int, rng: np.random.Generator
) -> list[Chapter]:
    """Tell the story in `scans` sweeps, from the smallest particle up and back again.

    Particles follow each other by their number of atoms; on the way back every second
    one is passed over. In transitions two neighbours are mixed by share of
    atoms. The temperature rises with sintering and falls afterwards. Towards the end air
    leaks in: the oxidized share grows from nothing to one.

    Raises
    ------
    UsageError
        If fewer than one sweep or fewer than two particles are asked for.
    LibraryError
        If the library does not hold a particle.
    """
    if scans < 1 or len(particles) < 2:
        raise UsageError("a story needs at least one sweep and two particles")
    by_size = sorted(particles, key=lambda name: _atoms(library, name))
    position = np.linspace(0.0, 1.0, scans) if scans > 1 else np.zeros(1)
    return [_chapter(library, by_size, float(p), rng) for p in position]


def _chapter(
    library: Library, by_size: Sequence[str], position: float, rng: np.random.Generator
) -> Chapter:
    """Return the sweep at a position from 0 (beginning) to 1 (end)."""
    if position <= SINTERING_SHARE:
        path, along = list(by_size), position / SINTERING_SHARE
        warmth = along
    else:
        path = list(by_size)[::-2]
        along = (position - SINTERING_SHARE) / (1.0 - SINTERING_SHARE)
        warmth = 1.0 - along / 2
    parts = _mixed(path, along)
    temperature_k = ROOM_K + (HOTTEST_K - ROOM_K) * warmth
    oxidized = round(max(0.0, (position - AIR_FROM) / (1.0 - AIR_FROM)), 3)
    condition = draw_condition(rng, temperature_k, oxidized)
    formed = form_sample(library, parts, condition.contraction)
    return Chapter(parts, round(temperature_k, 1), condition, formed)


def _mixed(path: Sequence[str], along: float) -> tuple[tuple[str, float], ...]:
    """Return the one or two particles at a fraction `along` a path, with their shares.

    The share of the next particle rests at 0 and 1 for a quarter of a step at each end.
    """
    step = along * (len(path) - 1)
    index = min(int(step), len(path) - 2)
    share = float(np.clip(2.0 * (step - index) - 0.5, 0.0, 1.0))
    parts = ((path[index], 1.0 - share), (path[index + 1], share))
    return tuple((name, round(part, 3)) for name, part in parts if part > 0.0)


def _atoms(library: Library, particle: str) -> int:
    return sum(count for _, count in library.particles.get(particle, ()))
