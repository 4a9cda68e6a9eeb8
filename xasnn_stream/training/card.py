"""The model card: what a stranger must know before believing the model."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot: cards are written where there is no screen

import matplotlib.pyplot as plt
import torch

from xasnn_stream.engine.inference import decompose, scaling_of
from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.library import Library
from xasnn_stream.physics.white_line import OXIDE
from xasnn_stream.training.evaluation import as_double, conditions
from xasnn_stream.training.mixtures import labels, particle_weights
from xasnn_stream.training.nuisances import differences, stage
from xasnn_stream.training.recipe import Recipe

FIGURE = "parity.png"


def write_card(
    folder: Path,
    manifest: dict[str, Any],
    model: Model,
    library: Library,
    recipe: Recipe,
) -> None:
    """Write `card.md` and its figure from the manifest's own numbers."""
    _parity(folder / FIGURE, model, library, recipe)
    names = manifest["descriptors"]
    held_out = ", ".join(manifest["held_out"])
    limits = "\n".join(f"- {limit}" for limit in recipe.limits)
    left_out = (
        ""
        if "r1" in names
        else "\nr1 is omitted: the library holds fewer than three lattice scales.\n"
    )
    text = f"""# {manifest["name"]}

Coordination numbers of the first shells{" and the mean bond length r1" if "r1" in names else ""} of
{manifest["element"]} particles from the {manifest["edge"]} XANES, read from the *difference*
between a normalized sample and a metal foil of the same beamtime.
{left_out}
## Training data

{manifest["library"]["file"]} (sha256 {manifest["library"]["sha256"][:16]}…), site spectra at lattice scales
{", ".join(f"{s:g}" for s in manifest["library"]["scales"])}: loose sites, whole particles and both with bulk, under nuisance set N1
(`recipe.yaml`). Held out before mixing, with every site except bulk: {held_out}.
Trained with torch {manifest["versions"]["torch"]}, seed {manifest["seed"]}.

## Metrics on held-out particles

MAE of the network, of ridge regression trained on the same draws in brackets. `N1` is the
nuisance set at noise 0.2 % per 1 eV, `noise` 0.5 % noise alone, `clean` neither. Mixing is
linear, so on clean spectra ridge is near its optimum.

{_metrics_table(manifest["metrics"], names)}

## Intervals

Conformal, calibrated on {manifest["calibration"]["particles"]} training particles, each predicted by the member that
never saw its sites; coverage counts particles as the independent unit, so with so few of
them the nominal level itself is uncertain by several points.

{_interval_table(manifest["metrics"], names)}

![Held-out particles under N1]({FIGURE})

## Novelty

Share of these spectra that novelty does not let pass as `ok`, with a share of a full oxide's white line (+{OXIDE.height:g} of the edge step, {OXIDE.at_ev:g} eV above the edge) on top:
`caution` at first, `outside` at twice that white line.

{_novelty_table(manifest["metrics"])}

## Limits

{limits}
- Theory misses measured foils by {recipe.novelty.foil_misfit_rms:g} rms. Novelty is calibrated with that misfit;
  intervals are not: on measured particles they hold only as far as theory does.
- Sample and foil are aligned on their own edges, so a chemical shift is not used.
"""
    (folder / "card.md").write_text(text)


def _metrics_table(rows: list[dict[str, Any]], names: list[str]) -> str:
    head = ["condition", "shapes", "particles", *names, "MAE/bulk"]
    lines = [_row(head), _row(["---"] * len(head))]
    for row in rows:
        ridge = row["baseline"]["ridge"]
        cells = [f"{row['mae'][name]:.3f} ({ridge['mae'][name]:.3f})" for name in names]
        bulk = f"{row['mae_over_bulk']:.2%} ({ridge['mae_over_bulk']:.2%})"
        lines.append(
            _row(
                [row["condition"], row["shapes"], str(row["n_particles"]), *cells, bulk]
            )
        )
    return "\n".join(lines)


def _interval_table(rows: list[dict[str, Any]], names: list[str]) -> str:
    head = ["condition", "shapes", "particles", "of the 90 % interval", *names]
    lines = [_row(head), _row(["---"] * len(head))]
    for row in rows:
        first = [row["condition"], row["shapes"], str(row["n_particles"])]
        ridge = row["baseline"]["ridge"]
        for title, values, format_ in (
            ("coverage", row["coverage"]["0.9"], ".0%"),
            ("median width", row["width90"], ".2f"),
            ("Winkler score", row["winkler90"], ".2f"),
            ("Winkler score, ridge", ridge["winkler90"], ".2f"),
        ):
            cells = [format(values[name], format_) for name in names]
            lines.append(_row([*first, title, *cells]))
            first = ["", "", ""]
    return "\n".join(lines)


def _novelty_table(rows: list[dict[str, Any]]) -> str:
    kinds = list(rows[0]["novelty_doubted"])
    head = ["condition", "shapes", *(kind.replace("_", " ") for kind in kinds)]
    lines = [_row(head), _row(["---"] * len(head))]
    for row in rows:
        cells = [f"{row['novelty_doubted'][kind]:.0%}" for kind in kinds]
        lines.append(_row([row["condition"], row["shapes"], *cells]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _parity(path: Path, model: Model, library: Library, recipe: Recipe) -> None:
    """Plot estimate over truth for one draw of every held-out particle and scale."""
    weights = torch.stack(
        [
            particle_weights(library, name, scale)
            for name in recipe.held_out
            for scale in library.scales
            if name in library.complete(scale)
        ]
    )
    rng = torch.Generator().manual_seed(recipe.seed)
    nuisances = conditions(recipe.nuisances)["N1"]
    on = stage(library, recipe.input)
    drawn = as_double(differences(on, weights, nuisances, rng), model.device)
    truth = labels(library, weights, model.descriptors)
    parts = decompose(model.parameters, scaling_of(model.tensors), drawn)
    margin = (model.quantiles[LEVEL] * parts.std).cpu()
    value = parts.value.cpu()
    figure, axes = plt.subplots(1, len(model.descriptors), figsize=(15, 3.2))
    for k, (axis, name) in enumerate(zip(axes, model.descriptors, strict=True)):
        axis.errorbar(truth[:, k], value[:, k], margin[:, k], fmt="o", ms=3, lw=0.8)
        axis.axline((float(truth[0, k]), float(truth[0, k])), slope=1, color="0.6")
        axis.set(title=name, xlabel="truth")
    axes[0].set_ylabel("estimate, 90 % interval")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
