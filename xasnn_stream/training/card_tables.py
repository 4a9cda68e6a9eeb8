"""The tables of a model card, in Markdown, from the rows of an evaluation."""

from collections.abc import Iterable, Mapping, Sequence

from xasnn_stream.training.bars import Bar, Row, find
from xasnn_stream.training.test_sets import across_test_sets

_LEVELS = ("0.68", "0.9", "0.95")
_BASELINES = (
    ("mean", "training mean"),
    ("ridge", "ridge regression"),
    ("forest", "random forest"),
    ("sites", "non-negative fit of sites"),
    ("from_cn1", "from the true cn1 alone"),
)
_COMPARED = (
    ("held-out", "N1", "fcc"),
    ("held-out", "N1+noise", "fcc"),
    ("held-out", "N1", "all"),
    ("held-out, with bulk", "N1", "fcc"),
    ("in-pool", "N1", "all"),
)
"""Splits, conditions and shapes whose baselines the card shows."""
_MET = {True: "yes", False: "**no**", None: ""}


def bars_table(found: Iterable[Bar]) -> str:
    """Return every bar with the figure and whether it is met."""
    return table(
        ("bar", "wanted", "found", "met"),
        ([bar.about, bar.wanted, bar.found, _MET[bar.met]] for bar in found),
    )


def errors_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return MAE of the network, of ridge in brackets, a line per row."""
    lines = []
    relative = ("MAE/bulk",) if any("mae_over_bulk" in row for row in rows) else ()
    for row in rows:
        ridge = row["baseline"]["ridge"]
        known = row.get("resolved", {})
        cells = [
            f"{row['mae'][name]:.3f} ({ridge['mae'][name]:.3f})"
            + ("" if known.get(name, True) else " *")
            for name in names
        ]
        if "mae_over_bulk" in row:
            cells.append(f"{row['mae_over_bulk']:.2%} ({ridge['mae_over_bulk']:.2%})")
        elif relative:
            cells.append("")
        lines.append([*_title(row), *cells])
    return table((*_HEAD, *names, *relative), lines)


def spread_of_errors_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return median / 95th percentile of the absolute error, a line per row."""
    lines = [
        [
            *_title(row),
            *(
                f"{row['median_error'][n]:.3g} / {row['p95_error'][n]:.3g}"
                for n in names
            ),
        ]
        for row in rows
    ]
    return table((*_HEAD, *names), lines)


def baselines_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return MAE of the network and of every baseline on the same spectra."""
    lines: list[list[str]] = []
    for wanted in _COMPARED:
        row = find(rows, *wanted)
        if row is None:
            continue
        lines.append([", ".join(wanted), "**network**", *_cells(row["mae"], names)])
        lines += [
            ["", title, *_cells(row["baseline"][key]["mae"], names)]
            for key, title in _BASELINES
            if key in row["baseline"]
        ]
    return table(("spectra", "method", *names), lines)


def intervals_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return coverage at every level, median width and interval scores."""
    lines: list[list[str]] = []
    for row in rows:
        ridge = row["baseline"]["ridge"]["winkler90"]
        covered = [
            " / ".join(f"{row['coverage'][level][name] * 100:.0f}" for level in _LEVELS)
            for name in names
        ]
        blank = [""] * len(_HEAD)
        lines += [
            [*_title(row), "coverage", *covered],
            [*blank, "median width", *(f"{row['width90'][n]:.2g}" for n in names)],
            [
                *blank,
                "interval score (ridge)",
                *(f"{row['winkler90'][n]:.2g} ({ridge[n]:.2g})" for n in names),
            ],
        ]
    return table((*_HEAD, "", *names), lines)


def standardized_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return mean ± standard deviation of z and how well `std` sorts the errors."""
    lines = [
        [
            *_title(row),
            *(
                f"{row['z_mean'][n]:+.2f} ± {row['z_std'][n]:.2f}, "
                f"{_correlation(row['spearman_error_std'][n])}"
                for n in names
            ),
        ]
        for row in rows
    ]
    return table((*_HEAD, *names), lines)


def sets_table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return MAE, its spread over members, and coverage by test set, and the spread."""
    lines: list[list[str]] = []
    for whole in across_test_sets(rows):
        for one in whole["sets"]:
            title = f"{one['split']}, {one['condition']}, {one['shapes']}"
            members = one["member_mae"]["std"]
            cells = [
                f"{one['mae'][name]:.3f} ± {members[name]:.3f} "
                f"({one['coverage'][name]:.0%})"
                for name in names
            ]
            lines.append([title, str(one["n_particles"]), *cells])
        spread = whole["spread"]
        covered = spread["coverage"]["0.9"]
        cells = [f"{spread['mae'][name]:.3f} ({covered[name]:.0%})" for name in names]
        lines.append(["spread", "", *cells])
    return table(("test set", "particles", *names), lines)


def novelty_table(rows: Sequence[Row]) -> str:
    """Return the AUROC of every family of flaws and the share that is doubted."""
    families = [name for name in rows[0]["novelty_doubted"] if name != "none"]
    lines = [
        [
            *_title(row),
            f"{row['novelty_doubted']['none']:.1%}",
            *(
                f"{row['novelty_auroc'][name]:.2f} ({row['novelty_doubted'][name]:.0%})"
                for name in families
            ),
        ]
        for row in rows
    ]
    titles = [name.replace("_", " ") for name in families]
    return table((*_HEAD, "false alarms", *titles), lines)


_HEAD = ("spectra", "condition", "shapes", "particles")


def _title(row: Row) -> list[str]:
    return [row["split"], row["condition"], row["shapes"], str(row["n_particles"])]


def _cells(scores: Mapping[str, float | None], names: Sequence[str]) -> list[str]:
    values = [scores.get(name) for name in names]
    return ["–" if value is None else f"{value:.3f}" for value in values]


def _correlation(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
