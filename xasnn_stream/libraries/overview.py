"""What a library holds: counts, ranges, and what its particles still lack."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.library import Contents, Library, library_of
from xasnn_stream.library.alloys import is_alloy
from xasnn_stream.library.hdf5 import SCHEMA

Range = tuple[float, float]

_LISTED = 12
_NAME_WIDTH = 10
_TEXT_WIDTH = 96


@dataclass(frozen=True, slots=True)
class AtScale:
    """One lattice scale: its sites, its complete particles, missing sites of others."""

    scale: float
    sites: int
    complete: tuple[str, ...]
    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """What `library show` tells of a library.

    `groups` are, for sites of alloys, the number of rows of every particle, motif and
    share of gold; for a library of one element empty, as `scales` is for an alloy.
    """

    file: str
    element: str
    edge: str
    variant: str
    rows: int
    sites: int
    scales: tuple[AtScale, ...]
    groups: Mapping[str, Mapping[str, int]]
    ranges: Mapping[str, Range]
    sha256: str

    def document(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "schema": SCHEMA,
            "file": self.file,
            "element": self.element,
            "edge": self.edge,
            "variant": self.variant,
            "rows": self.rows,
            "sites": self.sites,
            "scales": [
                {
                    "scale": at.scale,
                    "sites": at.sites,
                    "complete": list(at.complete),
                    "missing": dict(at.missing),
                }
                for at in self.scales
            ],
            "groups": {name: dict(counts) for name, counts in self.groups.items()},
            "ranges": {name: list(bounds) for name, bounds in self.ranges.items()},
            "sha256": self.sha256,
        }

    def text(self) -> str:
        """Return it as lines for people."""
        variant = f" ({self.variant})" if self.variant else ""
        lines = [
            f"{self.element} {self.edge}{variant}: {self.rows} rows, "
            f"{self.sites} different sites  {self.file}"
        ]
        for at in self.scales:
            told = f"{at.sites} sites, {len(at.complete)} complete particles: "
            lines += _line(f"scale {at.scale:g}", told + ", ".join(at.complete))
            if at.missing:
                lines += _line("", f"sites missing: {_counted(at.missing)}")
        for name, group in self.groups.items():
            lines += _line(name, _counted(group))
        ranges = (
            f"{name} {low:g}…{high:g}" for name, (low, high) in self.ranges.items()
        )
        return "\n".join([*lines, *_line("ranges", ", ".join(ranges))])


def _line(name: str, text: str) -> list[str]:
    """Return a name and what is said of it, folded to the width of a terminal."""
    indent = " " * (_NAME_WIDTH + 3)
    return textwrap.wrap(
        text,
        _TEXT_WIDTH,
        initial_indent=f"  {name:<{_NAME_WIDTH}} ",
        subsequent_indent=indent,
    )


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count}" for name, count in list(counts.items())[:_LISTED]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f", {more} more" if more else "")


def overview(contents: Contents) -> Overview:
    """Count what a library holds.

    Raises
    ------
    LibraryError
        Naming a field that is missing.
    """
    if is_alloy(contents):
        return _of_alloy(contents)
    library = library_of(contents)
    numbered = {f"cn{i + 1}": column for i, column in enumerate(library.cn.T)}
    bonded = library.r1[library.cn[:, 0] > 0]
    return Overview(
        file=contents.path.name,
        element=contents.element,
        edge=contents.edge,
        variant=contents.variant,
        rows=len(library.site),
        sites=len(set(library.site.tolist())),
        scales=tuple(_at(library, scale) for scale in library.scales),
        groups={},
        ranges={"x": _range(library.x), **_ranges(numbered), "r1": _range(bonded)},
        sha256=contents.sha256,
    )


def _at(library: Library, scale: float) -> AtScale:
    present = library.rows(scale).keys()
    missing = {
        name: sum(site not in present for site, _ in sites)
        for name, sites in library.particles.items()
    }
    return AtScale(
        scale=scale,
        sites=len(present),
        complete=library.complete(scale),
        missing={name: count for name, count in missing.items() if count},
    )


def _of_alloy(contents: Contents) -> Overview:
    site = contents.field("site_id").astype(str)
    share = np.round(contents.field("x_au").astype(float), 4)
    groups = {
        "particle": contents.field("particle").astype(str),
        "motif": contents.field("motif").astype(str),
        "x_au": share.astype(str),
    }
    numbered = {
        f"{name}_{i + 1}": column
        for name in ("cn_pd", "cn_au")
        for i, column in enumerate(contents.field(name).astype(float).T)
    }
    return Overview(
        file=contents.path.name,
        element=contents.element,
        edge=contents.edge,
        variant=contents.variant,
        rows=len(site),
        sites=len(set(site.tolist())),
        scales=(),
        groups={name: _counts(values) for name, values in groups.items()},
        ranges={
            "x": _range(contents.field("x")),
            "x_au": _range(share),
            **_ranges(numbered),
            "r1": _range(contents.field("R1")),
        },
        sha256=contents.sha256,
    )


def _counts(values: NDArray[Any]) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _ranges(columns: Mapping[str, NDArray[Any]]) -> dict[str, Range]:
    return {name: _range(column) for name, column in columns.items()}


def _range(values: NDArray[Any]) -> Range:
    if len(values) == 0:
        return (float("nan"), float("nan"))
    return (round(float(values.min()), 4), round(float(values.max()), 4))
