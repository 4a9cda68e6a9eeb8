"""The model card: what a stranger must know before believing the model."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot: cards are written where there is no screen

import matplotlib.pyplot as plt
import torch

from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.library import Library
from xasnn_stream.manifest import CARD
from xasnn_stream.training.bars import bars
from xasnn_stream.training.card_tables import (
    bars_table,
    baselines_table,
    errors_table,
    intervals_table,
    novelty_table,
    sets_table,
    spread_of_errors_table,
    standardized_table,
)
from xasnn_stream.training.mixtures import particle_weights
from xasnn_stream.training.recipe import Recipe
from xasnn_stream.training.scored import drawn_under, score

FIGURE = "parity.png"

_DETAILED = ("N1", "noise", "N1+noise", "N1x2", "recipe")
"""Conditions whose intervals the card shows; errors it shows under all."""


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
    rows = manifest["metrics"]
    detailed = [row for row in rows if _is_detailed(row)]
    scales = manifest["library"]["scales"]
    held_out = ", ".join(manifest["held_out"])
    limits = "\n".join(f"- {limit}" for limit in recipe.limits)
    left_out = (
        ""
        if "r1" in names
        else "\nr1 is omitted: the library holds fewer than three lattice scales.\n"
    )
    text = f"""# {manifest["name"]}

{_subject(names)} of {manifest["element"]} particles from the {manifest["edge"]} XANES, read from the
*difference* between a normalized sample and a metal foil of the same beamtime.
{left_out}
## What it is worth

Bars a model must reach to be believed, on the shipped weights. *N1* is the named set of nuisances
at noise 0.2 % per 1 eV (foil 0.1 %), *noise* 0.5 % noise and nothing else, *N1+noise* both, *N1-range* N1 with
noise drawn up to 0.6 %, *N1x2* every range and the noise of N1 doubled, *recipe* the training's own. Every particle has one weight;
the number of particles beside a coverage says how well it can be known.

{bars_table(bars(rows, scales))}

Another theory than the training's: `xasnn-stream evaluate {manifest["name"]} --library FILE` with a library
of it; `xasnn-stream recalibrate` makes intervals hold there. Measured foils and particles:
[docs/measured-spectra.md](../../docs/measured-spectra.md).

## Training data

{manifest["library"]["file"]} (sha256 {manifest["library"]["sha256"][:16]}…), site spectra at lattice scales
{", ".join(f"{s:g}" for s in scales)}: loose sites, whole particles and both with bulk, under the nuisances of
`recipe.yaml`. Held out before mixing, with every site except bulk: {held_out}.
Trained with torch {manifest["versions"]["torch"]}, seed {manifest["seed"]}.

## Beside simpler methods

MAE on the same spectra. *Training mean* says always the same; *ridge regression* was trained on the network's
own draws; the *random forest* is fitted on fresh ones; the *non-negative fit* averages the labels of the
training sites whose mixture fits best; the last line reads no spectrum at all but is told the true cn1.

{baselines_table(rows, names)}

## Errors

MAE of the network, of ridge regression in brackets. Mixing is linear, so on clean spectra
ridge is near its optimum. * is *not resolved*: cn2 to cn4 follow better from the true cn1 alone, r1
errs by more than a third of what its mean does.

{errors_table(rows, names)}

Median / 95th percentile of the absolute error:

{spread_of_errors_table(detailed, names)}

## Intervals

Conformal, {_calibration(manifest)}; coverage counts particles as the independent unit, so with so few of
them the nominal level itself is uncertain by several points. Coverage is at 68 / 90 / 95 %, in
percent; width and interval score (Winkler) are of the 90 % interval.

{intervals_table(detailed, names)}

Mean ± standard deviation of z = (truth − value) / `std`, and the rank correlation of |error| with `std`:

{standardized_table(detailed, names)}

![Held-out particles under N1]({FIGURE})

## Test sets

MAE ± its spread over the members (coverage of the 90 % interval) on test sets made in different ways. The spread
between them is a doubt that no interval contains: what incomplete training data cause.

{sets_table(rows, names)}

## Novelty

Area under the ROC curve by family of flaws put on these spectra (what and how large:
[novelty-families.yaml](../novelty-families.yaml)); in brackets the share not let pass as `ok`, of *none* false alarms.

{novelty_table([row for row in rows if row["split"] == "held-out" and row["shapes"] in ("fcc", "all")])}

## Limits

{limits}
- Theory misses measured foils by {recipe.novelty.foil_misfit_rms:g} rms: on measured particles intervals hold only as
  far as theory does.
- Sample and foil are aligned on their own edges, so a chemical shift is not used.
"""
    (folder / CARD).write_text(text)


def _is_detailed(row: dict[str, Any]) -> bool:
    """Whether intervals are shown: those of single particles tell little, once is enough."""
    few = row["shapes"] not in ("fcc", "all")
    return row["condition"] in (("N1",) if few else _DETAILED)


def _subject(names: list[str]) -> str:
    if "cn1" in names:
        bond = " and the mean bond length r1" if "r1" in names else ""
        return f"Coordination numbers of the first shells{bond}"
    return f"The descriptors {', '.join(names)}"


def _calibration(manifest: dict[str, Any]) -> str:
    calibration = manifest["calibration"]
    return (
        f"{calibration['method'].removeprefix('conformal, ')}, calibrated on "
        f"{calibration['particles']} training particles"
    )


def _parity(path: Path, model: Model, library: Library, recipe: Recipe) -> None:
    """Plot estimate over truth for one draw of every held-out particle and scale."""
    found = [
        (name, particle_weights(library, name, scale))
        for name in recipe.held_out
        for scale in library.scales
        if name in library.complete(scale)
    ]
    weights = torch.stack([weight for _, weight in found])
    rng = torch.Generator().manual_seed(recipe.seed)
    drawn, truth = drawn_under(model, recipe, library, weights, "N1", rng)
    scored = score(model, drawn, truth, tuple(name for name, _ in found))
    low, high = scored.intervals[LEVEL]
    below, above = (scored.value - low).cpu(), (high - scored.value).cpu()
    value, truth = scored.value.cpu(), truth.cpu()
    names = model.descriptors
    figure, axes = plt.subplots(1, len(names), figsize=(15, 3.2), squeeze=False)
    for k, (axis, name) in enumerate(zip(axes[0], names, strict=True)):
        margin = torch.stack((below[:, k], above[:, k]))
        axis.errorbar(truth[:, k], value[:, k], margin, fmt="o", ms=3, lw=0.8)
        axis.axline((float(truth[0, k]), float(truth[0, k])), slope=1, color="0.6")
        axis.set(title=name, xlabel="truth")
    axes[0][0].set_ylabel("estimate, 90 % interval")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
