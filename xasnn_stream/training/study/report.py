"""The study's tables, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from xasnn_stream.training.card_tables import table

Rows = Sequence[Mapping[str, Any]]

_NO_THEORY = (
    "No other theory was given (`--theory`): what carries over to it is left out."
)
_NO_DATA = "No measured spectra were given (`--data`): they are left out."


def report(toy: Rows, arms: Rows) -> str:
    """Return every table, and a sentence for what was left out."""
    parts = [_toy(toy), _theories(arms)]
    if "theory B" not in arms[0]:
        parts.append(_NO_THEORY)
    parts.append(_measured(arms) if "measured" in arms[0] else _NO_DATA)
    return "\n\n".join(parts)


def _toy(rows: Rows) -> str:
    cells = [
        (
            row["architecture"],
            row["family"],
            _spread(row["mae"], 4),
            _spread(row["ratio"], 1),
        )
        for row in rows
    ]
    return table(("architecture", "curves", "error of the maximum", "ratio"), cells)


def _theories(rows: Rows) -> str:
    """Return errors on left-out particles, one number per theory in each cell."""
    theories = [name for name in ("theory A", "theory B") if name in rows[0]]
    names = list(rows[0]["theory A"])
    head = [f"error on {' / '.join(theories)}", *names]
    cells = [
        [row["arm"]]
        + [" / ".join(f"{row[of][name]:.3f}" for of in theories) for name in names]
        + ([_spread(row["ratio"], 2)] if "ratio" in row else [])
        for row in rows
    ]
    return table([*head, "B / A"] if "ratio" in rows[0] else head, cells)


def _measured(rows: Rows) -> str:
    samples = rows[0]["measured"]
    head = [
        "measured cn1 (known)",
        *(f"{of['sample']} ({of['known']:g})" for of in samples),
    ]
    cells = [
        [
            row["arm"],
            *(f"{of['cn1']:.1f}" for of in row["measured"]),
            f"{row['bending']:.2f}",
        ]
        for row in rows
    ]
    return table([*head, "off the line"], cells)


def _spread(of: Mapping[str, float], digits: int) -> str:
    median, low, high = (f"{of[k]:.{digits}f}" for k in ("median", "low", "high"))
    return f"{median} ({low}–{high})"
