"""Sites of bimetallic particles, joined with those of the pure metal.

`<Element>_<edge>_in_<AB>` holds sites sampled from particles and bulk of two elements:
neighbours of each kind are counted apart (`cn_<element>`), the lattice follows the
composition (Vegard), and the other sites of a particle are missing. What was sampled of
one particle therefore stands for it, as a particle of its own, each site once.

The pure metal is the limit without the other element: its sites at every lattice scale
join, so that a strained lattice is not taken for a neighbour.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.library.contents import Contents, refusal
from xasnn_stream.library.site_spectra import REFERENCE_SCALE, Library
from xasnn_stream.spectrum import FloatArray

_WITHIN = "/"
"""Between particle, motif and share of the other element: `to38/core_au/0.25`."""
_COUNTS = "cn_"
_SHELLS = 4
_Sites = tuple[tuple[str, int], ...]


def is_alloy(contents: Contents) -> bool:
    """Return whether neighbours are counted by element."""
    return bool(_neighbours(contents)) and "cn" not in contents.arrays


def is_sampled(particle: str) -> bool:
    """Return whether a particle of a joined library stands for what was sampled of it."""
    return _WITHIN in particle


def partial_names(element: str, neighbour: str) -> str:
    """Return what a partial coordination number is called.

    >>> partial_names("Pd", "Au")
    'cn_pd_au'
    """
    return f"{_COUNTS}{element.lower()}_{neighbour.lower()}"


def join(contents: Contents, pure: Library, units: FloatArray) -> Library:
    """Return one library of the sampled sites and of the pure metal's.

    `units` (`energy`) turns the sampled spectra into those of the normalized foil.
    Every row is at the reference scale: lattices differ from site to site. Columns are
    the first neighbours of each kind, as `cn_pd_au`.

    Raises
    ------
    LibraryError
        If a field is missing or does not fit the pure metal's.
    """
    sampled = contents.field("site_id").astype(str)
    x, mu, r1 = map(contents.numbers, ("x", "mu", "R1"))
    if mu.shape != (len(sampled), len(pure.x)) or not np.allclose(x, pure.x):
        why = f"its x or mu do not fit those of {pure.element} {pure.edge}"
        raise refusal(contents.path, why)
    counts = {
        element: contents.numbers(_COUNTS + element.lower())
        for element in _neighbours(contents)
    }
    if pure.element not in counts or any(
        count.shape != (len(sampled), _SHELLS) for count in counts.values()
    ):
        why = f"cn_<element> must be sites x {_SHELLS}, one of them of {pure.element}"
        raise refusal(contents.path, why)
    both = contents.sha256 + pure.sha256
    return Library(
        element=pure.element,
        edge=pure.edge,
        x=pure.x,
        mu=np.concatenate((pure.mu, mu * units)),
        atomic=pure.atomic,
        site=np.concatenate((_strained(pure), sampled)),
        scale=np.full(len(pure.site) + len(sampled), REFERENCE_SCALE),
        cn=np.concatenate((pure.cn, np.sum(list(counts.values()), axis=0))),
        r1=np.concatenate((pure.r1, r1)),
        particles={**_pure_particles(pure), **_groups(contents, sampled)},
        bulk_site=pure.bulk_site,
        sha256=hashlib.sha256(both.encode()).hexdigest(),
        columns={
            partial_names(pure.element, element): np.concatenate(
                (pure.cn[:, 0] * (element == pure.element), count[:, 0])
            )
            for element, count in counts.items()
        },
    )


def _neighbours(contents: Contents) -> tuple[str, ...]:
    """Return the elements neighbours are counted of."""
    named = (name.removeprefix(_COUNTS) for name in contents.arrays if _is_count(name))
    return tuple(sorted(name.capitalize() for name in named))


def _is_count(name: str) -> bool:
    return name.startswith(_COUNTS) and name.removeprefix(_COUNTS).isalpha()


def _strained(pure: Library) -> NDArray[np.str_]:
    """Return the pure metal's sites, named by their lattice where it is strained."""
    return np.array(
        [
            _at(str(site), scale)
            for site, scale in zip(pure.site, pure.scale, strict=True)
        ]
    )


def _at(name: str, scale: float) -> str:
    return name if scale == REFERENCE_SCALE else f"{name}_{scale:g}"


def _pure_particles(pure: Library) -> Mapping[str, _Sites]:
    return {
        _at(name, scale): tuple((_at(site, scale), n) for site, n in sites)
        for scale in pure.scales
        for name, sites in pure.particles.items()
        if name in pure.complete(scale)
    }


def _groups(contents: Contents, sampled: NDArray[np.str_]) -> Mapping[str, _Sites]:
    """Return what was sampled of each particle, by its name, motif and composition."""
    shares = (f"x_{element.lower()}" for element in _neighbours(contents))
    share = next((name for name in shares if name in contents.arrays), "x_<element>")
    columns = (contents.field(name) for name in ("particle", "motif", share))
    groups: dict[str, _Sites] = {}
    for site, particle, motif, x in zip(sampled, *columns, strict=True):
        name = _WITHIN.join((str(particle), str(motif), f"{x:g}"))
        groups[name] = (*groups.get(name, ()), (str(site), 1))
    return dict(sorted(groups.items()))
