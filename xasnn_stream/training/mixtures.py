"""Random structures as weights over library rows, split by particle before mixing.

A structure is a row of weights over (site, lattice scale); spectrum and coordination
numbers are the same weighted means, so a held-out site is one whose column is never
touched. Lattice scales between those computed are Lagrange interpolation across scales.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import REFERENCE_SCALE, Library
from xasnn_stream.training.recipe import Mixtures

_MIN_REMAINDER = 0.5
"""A particle that lost shared sites to a held-out one still counts as a structure if at
least this share of its atoms remains."""


@dataclass(frozen=True, slots=True, eq=False)
class Structures:
    """What may be mixed: sites and particles, as rows or weights at each lattice scale.

    `sites` (`sites x 1`) and `particles` (`particles x rows`) are at the reference
    scale, `scaled_sites` (`sites x scales`) and `scaled_particles`
    (`scales x particles x rows`) hold those present at every scale; `bulk` are the rows
    of the bulk site, one per scale.
    """

    rows: int
    scales: tuple[float, ...]
    sites: Tensor
    scaled_sites: Tensor
    particles: Tensor
    scaled_particles: Tensor
    bulk: Tensor


def particle_sites(library: Library, name: str) -> set[str]:
    """Return a particle's sites without the bulk site, which every large one contains."""
    try:
        return {site for site, _ in library.particles[name]} - {library.bulk_site}
    except KeyError:
        known = ", ".join(sorted(library.particles))
        raise LibraryError(
            f"no particle {name} in the library; it has {known}"
        ) from None


def particle_weights(library: Library, name: str, scale: float) -> Tensor:
    """Return a particle as weights over rows, normalized, `rows`."""
    rows = library.rows(scale)
    weights = torch.zeros(len(library.site))
    for site, count in library.particles[name]:
        if site in rows:
            weights[rows[site]] += count
    return weights / weights.sum()


def structures(
    library: Library, excluded: Iterable[str], names: Iterable[str]
) -> Structures:
    """Collect what may be mixed, without the excluded sites.

    `names` are the particles to use; those that lost too many atoms are left out.
    """
    banned = set(excluded)
    scales = library.scales
    rows = [library.rows(scale) for scale in scales]
    reference = library.rows(REFERENCE_SCALE)
    single = [s for s in reference if s not in banned and s != library.bulk_site]
    everywhere = [s for s in single if all(s in at for at in rows)]
    whole = [n for n in names if _remaining(library, n, banned, reference.keys())]
    scaled = [
        n
        for n in whole
        if all(_remaining(library, n, banned, at.keys()) for at in rows)
    ]
    return Structures(
        rows=len(library.site),
        scales=scales,
        sites=torch.tensor([[reference[s]] for s in single]),
        scaled_sites=torch.tensor([[at[s] for at in rows] for s in everywhere]),
        particles=torch.stack(
            [without(library, n, REFERENCE_SCALE, banned) for n in whole]
        ),
        scaled_particles=torch.stack(
            [
                torch.stack([without(library, n, scale, banned) for n in scaled])
                for scale in scales
            ]
        ),
        bulk=torch.tensor([at[library.bulk_site] for at in rows]),
    )


def draw(kit: Structures, recipe: Mixtures, count: int, rng: torch.Generator) -> Tensor:
    """Draw random structures as weights, `count x rows`, each row summing to one."""

    def uniform() -> Tensor:
        return torch.rand(count, generator=rng)

    is_scaled = (uniform() < recipe.scaled) & (len(kit.scales) > 1)
    is_particle = uniform() < recipe.particles
    low, high = kit.scales[0], kit.scales[-1]
    scale = torch.where(is_scaled, low + (high - low) * uniform(), REFERENCE_SCALE)
    across = _lagrange(scale, kit.scales)
    at_reference = torch.ones(count, 1)
    weights = torch.zeros(count, kit.rows)
    cases = (
        (~is_particle & ~is_scaled, mix_sites, kit.sites, at_reference),
        (~is_particle & is_scaled, mix_sites, kit.scaled_sites, across),
        (is_particle & ~is_scaled, _mix_particles, kit.particles[None], at_reference),
        (is_particle & is_scaled, _mix_particles, kit.scaled_particles, across),
    )
    for chosen, build, parts, by_scale in cases:
        if chosen.any():
            weights[chosen] = build(parts, by_scale[chosen], kit.rows, recipe, rng)
    share = torch.where(uniform() < recipe.bulk, uniform(), 0.0).unsqueeze(-1)
    bulk = torch.zeros(count, kit.rows)
    bulk[:, kit.bulk] = across
    return (1 - share) * weights + share * bulk


def mix_sites(
    sites: Tensor, by_scale: Tensor, rows: int, recipe: Mixtures, rng: torch.Generator
) -> Tensor:
    """Draw means of 1 to `max_sites` sites, `count x rows`.

    `sites` (`sites x scales`) are rows of the library, `by_scale` (`count x scales`)
    how much each lattice scale counts.
    """
    count, most = by_scale.shape[0], recipe.max_sites
    share = _shares(count, most, rng)
    chosen = sites[torch.randint(len(sites), (count, most), generator=rng)]
    weight = share.unsqueeze(-1) * by_scale.unsqueeze(1)
    weights = torch.zeros(count, rows)
    return weights.scatter_add(1, chosen.flatten(1), weight.flatten(1))


def _mix_particles(
    particles: Tensor,
    by_scale: Tensor,
    rows: int,
    recipe: Mixtures,
    rng: torch.Generator,
) -> Tensor:
    """Draw distributions of 1 to `max_particles` particles, `count x rows`.

    `particles` is `scales x names x rows`.
    """
    count, names = by_scale.shape[0], particles.shape[1]
    of = torch.randint(names, (count, recipe.max_particles), generator=rng)
    share = _shares(count, recipe.max_particles, rng)
    amount = torch.zeros(count, names).scatter_add(1, of, share)
    weight = by_scale.unsqueeze(-1) * amount.unsqueeze(1)
    return weight.flatten(1) @ particles.reshape(-1, rows)


def _shares(count: int, most: int, rng: torch.Generator) -> Tensor:
    """Draw shares of 1 to `most` parts, flat on their simplex, `count x most`."""
    number = torch.randint(1, most + 1, (count, 1), generator=rng)
    share = -torch.log(torch.rand(count, most, generator=rng).clamp(min=1e-12))
    share = share * (torch.arange(most) < number)
    return share / share.sum(-1, keepdim=True)


def _lagrange(scale: Tensor, nodes: tuple[float, ...]) -> Tensor:
    """Lagrange weights of the nodes at each scale, `count x scales`."""
    columns = []
    for j, node in enumerate(nodes):
        weight = torch.ones_like(scale)
        for other in nodes[:j] + nodes[j + 1 :]:
            weight = weight * (scale - other) / (node - other)
        columns.append(weight)
    return torch.stack(columns, -1)


def _remaining(
    library: Library, name: str, banned: set[str], present: Iterable[str]
) -> bool:
    """Whether all unbanned sites are present and enough of the particle is left."""
    sites = library.particles[name]
    atoms = sum(count for _, count in sites)
    kept = sum(count for site, count in sites if site not in banned)
    available = set(present)
    complete = all(site in available or site in banned for site, _ in sites)
    return complete and kept >= _MIN_REMAINDER * atoms


def without(library: Library, name: str, scale: float, banned: set[str]) -> Tensor:
    """Return a particle as weights over rows without some sites, normalized, `rows`."""
    weights = particle_weights(library, name, scale)
    rows = library.rows(scale)
    gone = [
        rows[site] for site in particle_sites(library, name) & banned if site in rows
    ]
    weights[gone] = 0
    return weights / weights.sum()


def labels(library: Library, weights: Tensor, descriptors: Sequence[str]) -> Tensor:
    """Return the truth of structures given as weights, `draws x descriptors`.

    LibraryError if the library does not have one of them.
    """
    cn = torch.from_numpy(library.cn.astype(np.float32))
    r1 = torch.from_numpy(library.r1.astype(np.float32))
    numbers = weights @ cn
    bonds = weights * cn[:, 0]
    columns = {f"cn{i + 1}": numbers[:, i] for i in range(numbers.shape[1])}
    columns["r1"] = bonds @ r1 / bonds.sum(-1)
    for name, column in library.columns.items():
        columns[name] = weights @ torch.from_numpy(column.astype(np.float32))
    if missing := [name for name in descriptors if name not in columns]:
        known = ", ".join(columns)
        raise LibraryError(f"the library has no {', '.join(missing)}; it has {known}")
    return torch.stack([columns[name] for name in descriptors], -1)
