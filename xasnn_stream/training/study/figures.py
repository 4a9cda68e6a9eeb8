"""The study's pictures: toy curves with their errors, and errors of every arm."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot: the study runs where there is no screen

import matplotlib.pyplot as plt
import torch

from xasnn_stream.library import SHELL_BULK_CN
from xasnn_stream.training.study.toy import FAMILIES, TRAINED_ON, draw_curves

Rows = Sequence[Mapping[str, Any]]

_COLORS = dict(zip(FAMILIES, ("tab:blue", "tab:red", "tab:orange"), strict=True))
_SHOWN = 6


def draw_toy(rows: Rows, path: Path) -> None:
    """Draw curves of every family, and the error of every architecture on each."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    rng = torch.Generator().manual_seed(0)
    for name, family in FAMILIES.items():
        curves = draw_curves(family, _SHOWN, rng)
        left.plot(curves.grid, curves.values.T, color=_COLORS[name], lw=0.7)
        left.plot([], [], color=_COLORS[name], label=name)
    left.set(xlabel="energy / eV", ylabel="curve", title="three families of curves")
    left.legend()
    architectures = list(dict.fromkeys(row["architecture"] for row in rows))
    for place, name in enumerate(FAMILIES):
        found = [row["mae"] for row in rows if row["family"] == name]
        at = [k + (place - 1) * 0.25 for k in range(len(architectures))]
        _bars(right, at, found, 0.25, _COLORS[name], name)
    right.set(yscale="log", ylabel="error of the maximum")
    right.set_xticks(range(len(architectures)), architectures)
    right.set_title(f"learnt from {TRAINED_ON}; lines span the seeds")
    _save(figure, path)


def draw_transfer(rows: Rows, path: Path) -> None:
    """Draw the error of every arm in every theory, and measured cn1."""
    has_measured = "measured" in rows[0]
    height = 1.2 + 0.28 * len(rows)
    figure, axes = plt.subplots(
        1, 1 + has_measured, figsize=(11, height), squeeze=False, sharey=True
    )
    left = axes[0, 0]
    theories = [name for name in ("theory A", "theory B") if name in rows[0]]
    for place, name in enumerate(theories):
        at = [k + (place - 0.5) * 0.4 for k in range(len(rows))]
        errors = [100 * _over_bulk(row[name]) for row in rows]
        left.barh(at, errors, 0.4, color=_COLORS[name], label=name)
    left.set_yticks(range(len(rows)), [row["arm"] for row in rows])
    left.invert_yaxis()
    left.set(xlabel="mean error over bulk, cn1 to cn4 / %", title="left-out particles")
    left.legend()
    if has_measured:
        _measured(axes[0, 1], rows)
    _save(figure, path)


def _over_bulk(errors: Mapping[str, float]) -> float:
    shells = [k for k in range(len(SHELL_BULK_CN)) if f"cn{k + 1}" in errors]
    parts = [errors[f"cn{k + 1}"] / SHELL_BULK_CN[k] for k in shells]
    return sum(parts) / len(parts)


def _measured(axis: Any, rows: Rows) -> None:
    for number, sample in enumerate(rows[0]["measured"]):
        estimates = [row["measured"][number]["cn1"] - sample["known"] for row in rows]
        axis.plot(estimates, range(len(rows)), "o", label=sample["sample"])
    axis.axvline(0, color="gray", lw=0.8)
    axis.set(xlabel="cn1 less that of the crystal or of EXAFS", title="measured")
    axis.grid(axis="y", lw=0.4)
    axis.legend(fontsize="small")


def _bars(
    axis: Any, at: Sequence[float], found: Rows, width: float, color: str, label: str
) -> None:
    middle = [each["median"] for each in found]
    below = [each["median"] - each["low"] for each in found]
    above = [each["high"] - each["median"] for each in found]
    axis.bar(at, middle, width, yerr=(below, above), color=color, label=label)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
