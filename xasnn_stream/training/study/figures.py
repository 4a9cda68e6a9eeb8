"""The study's pictures: toy curves with their errors, and errors of every arm."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot: the study runs where there is no screen

import matplotlib.pyplot as plt
import torch

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
    """Draw the error of cn1 of every arm in every theory, and measured cn1."""
    has_measured = "measured" in rows[0]
    figure, axes = plt.subplots(1, 1 + has_measured, figsize=(11, 4), squeeze=False)
    arms = [row["arm"] for row in rows]
    theories = [name for name in ("theory A", "theory B") if name in rows[0]]
    for place, name in enumerate(theories):
        at = [k + place * 0.35 for k in range(len(arms))]
        errors = [row[name]["cn1"] for row in rows]
        axes[0, 0].bar(at, errors, 0.35, color=_COLORS[name], label=name)
    axes[0, 0].set(ylabel="mean error of cn1", title="left-out particles")
    axes[0, 0].set_xticks(range(len(arms)), arms, rotation=45, ha="right")
    axes[0, 0].legend()
    if has_measured:
        _measured(axes[0, 1], rows, arms)
    _save(figure, path)


def _measured(axis: Any, rows: Rows, arms: Sequence[str]) -> None:
    for number, sample in enumerate(rows[0]["measured"]):
        estimates = [row["measured"][number]["cn1"] - sample["known"] for row in rows]
        axis.plot(range(len(arms)), estimates, "o", label=sample["sample"])
    axis.axhline(0, color="gray", lw=0.8)
    axis.set(ylabel="cn1 less what is known", title="measured, foils and EXAFS")
    axis.set_xticks(range(len(arms)), arms, rotation=45, ha="right")
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
    figure.savefig(path, dpi=100)
    plt.close(figure)
