"""What a model must reach to be believed, and what it reached."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from xasnn_stream.training.conditions import OWN
from xasnn_stream.training.scores import CONSTANT_SHARE, R1_LIMIT, SHELLS

Row = Mapping[str, Any]

_MAE_OVER_BULK = {
    "N1": (0.025, 0.045, 0.05, 0.045),
    "noise": (0.03, 0.06, 0.06, 0.06),
    "N1+noise": (0.03, 0.06, 0.06, 0.06),
}
"""Of fcc particles, by condition and shell."""

_IN_POOL_WITHIN = 0.02
_LEFT_OUT_BELOW, _THIRD_BELOW = 0.08, 0.12
_JUDGED_LEVELS = (0.68, 0.9)
"""Levels at which coverage of left-out particles is judged: of so few particles the
95 % level cannot be."""
_MIN_SCALES = 3
_SHAPES = {"fcc": "fcc", "all": "all shapes"}
"""Icosahedra and hcp pieces, of another lattice than the training's, are in the second."""
_MEAN_AUROC, _LEAST_AUROC, _FALSE_ALARMS = 0.95, 0.85, 0.02


@dataclass(frozen=True, slots=True)
class Bar:
    """One demand: about what, what is wanted, what was found, whether it is met.

    `met` is None for what is published without a demand.
    """

    about: str
    wanted: str
    found: str
    met: bool | None


def bars(rows: Sequence[Row], scales: Sequence[float]) -> list[Bar]:
    """Return every bar that rows of an evaluation can answer.

    `scales` are the lattice scales of the training library.
    """
    return [
        *_errors(rows),
        *_bond_length(rows, scales),
        *_resolved(rows),
        *_in_pool(rows),
        *_left_out(rows),
        *_thirds(rows),
        *_twice(rows),
        *_novelty(rows),
    ]


def find(rows: Sequence[Row], split: str, condition: str, shapes: str) -> Row | None:
    """Return the row of a split, condition and shape class, if it was evaluated."""
    for row in rows:
        if (row["split"], row["condition"], row["shapes"]) == (
            split,
            condition,
            shapes,
        ):
            return row
    return None


def _errors(rows: Sequence[Row]) -> Iterator[Bar]:
    for condition, limits in _MAE_OVER_BULK.items():
        row = find(rows, "held-out", condition, "fcc")
        if row is None:
            continue
        for name, limit in zip(SHELLS, limits, strict=True):
            found = row.get("rel_mae_bulk", {}).get(name)
            if found is not None:
                about = f"MAE/bulk of {name}, left-out fcc, {condition}"
                yield Bar(about, f"≤ {limit:.1%}", f"{found:.1%}", found <= limit)


def _bond_length(rows: Sequence[Row], scales: Sequence[float]) -> Iterator[Bar]:
    row = find(rows, "held-out", "N1", "fcc")
    if row is None or "r1" not in row["mae"]:
        return
    found, constant = row["mae"]["r1"], row["baseline"]["mean"]["mae"]["r1"]
    yield Bar(
        f"MAE of r1, left-out fcc, N1, {len(scales)} lattice scales",
        f"≤ {R1_LIMIT:g} Å and a third of the training mean's, ≥ {_MIN_SCALES} scales",
        f"{found:.4f} Å, {found / constant:.0%} of the mean's",
        found <= min(R1_LIMIT, CONSTANT_SHARE * constant)
        and len(scales) >= _MIN_SCALES,
    )


def _resolved(rows: Sequence[Row]) -> Iterator[Bar]:
    row = find(rows, "held-out", "N1", "fcc")
    if row is None or "resolved" not in row:
        return
    missing = [name for name, known in row["resolved"].items() if not known]
    yield Bar(
        "known better than from the true cn1, left-out fcc, N1",
        "all",
        f"not resolved: {', '.join(missing)}" if missing else "all",
        not missing,
    )


def _in_pool(rows: Sequence[Row]) -> Iterator[Bar]:
    for condition in ("N1", OWN):
        row = find(rows, "in-pool", condition, "all")
        if row is None:
            continue
        far, text = max(
            (abs(found - float(level)), f"{found:.1%} of {name} at {float(level):.0%}")
            for level, covered in row["coverage"].items()
            for name, found in covered.items()
        )
        under = "the training's own nuisances" if condition == OWN else condition
        yield Bar(
            f"coverage in-pool, {under}, {row['n']} mixtures of "
            f"{row['n_particles']} particles",
            f"within {_IN_POOL_WITHIN * 100:.0f} points at every level",
            f"farthest {text}",
            far <= _IN_POOL_WITHIN,
        )


def _left_out(rows: Sequence[Row]) -> Iterator[Bar]:
    for split, shapes in product(("held-out", "held-out, with bulk"), _SHAPES):
        row = find(rows, split, "N1", shapes)
        if row is None:
            continue
        lowest, text = _lowest(row["coverage"])
        yield Bar(
            f"coverage of {split}, {_SHAPES[shapes]}, N1, {row['n_particles']} particles",
            f"≥ nominal − {_LEFT_OUT_BELOW * 100:.0f} at 68 and 90 %",
            f"lowest {text}",
            lowest >= -_LEFT_OUT_BELOW,
        )


def _thirds(rows: Sequence[Row]) -> Iterator[Bar]:
    cases = product(_SHAPES, ("noise", "cn1"))
    for shapes, by in cases:
        row = find(rows, "held-out", "N1-range", shapes) or {}
        thirds = row.get("coverage_by", {}).get(by)
        if not thirds:
            continue
        lowest, text = min(_lowest(third["coverage"]) for third in thirds)
        particles = "/".join(str(third["n_particles"]) for third in thirds)
        yield Bar(
            f"coverage by thirds of {by}, left-out, {_SHAPES[shapes]}, N1, {particles} "
            "particles",
            f"≥ nominal − {_THIRD_BELOW * 100:.0f} at 68 and 90 %",
            f"lowest {text}",
            lowest >= -_THIRD_BELOW,
        )


def _twice(rows: Sequence[Row]) -> Iterator[Bar]:
    row = find(rows, "held-out", "N1x2", "fcc")
    if row is None:
        return
    covered = ", ".join(
        f"{name} {found:.0%}" for name, found in row["coverage"]["0.9"].items()
    )
    particles = row["n_particles"]
    about = f"coverage of 90 % at twice N1, left-out fcc, {particles} particles"
    yield Bar(about, "published", covered, None)


def _novelty(rows: Sequence[Row]) -> Iterator[Bar]:
    row = find(rows, "held-out", "N1", "all")
    area = dict((row or {}).get("novelty_auroc", {}))
    if "mean" in area:
        mean = area.pop("mean")
        least, name = min((found, name) for name, found in area.items())
        yield Bar(
            f"AUROC of novelty, left-out, N1, {len(area)} families",
            f"≥ {_MEAN_AUROC:g} on average, none below {_LEAST_AUROC:g}",
            f"{mean:.3f}, lowest {least:.3f} of {name.replace('_', ' ')}",
            mean >= _MEAN_AUROC and least >= _LEAST_AUROC,
        )
    row = find(rows, "held-out", "clean", "all")
    alarms = (row or {}).get("novelty_doubted", {}).get("none")
    if alarms is not None:
        about, wanted = "false alarms, clean left-out", f"≤ {_FALSE_ALARMS:.0%}"
        yield Bar(about, wanted, f"{alarms:.1%}", alarms <= _FALSE_ALARMS)


def _lowest(coverage: Mapping[str, Mapping[str, float]]) -> tuple[float, str]:
    """Return coverage less nominal where it is lowest, and that in words."""
    return min(
        (
            found - level,
            f"{found:.0%} of {name} at {level:.0%}",
        )
        for level in _JUDGED_LEVELS
        for name, found in coverage.get(f"{level:g}", {}).items()
    )
