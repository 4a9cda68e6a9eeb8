"""The card of a model of an alloy: what a stranger must know before believing it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot: cards are written where there is no screen

import matplotlib.pyplot as plt

from xasnn_stream.library.alloys import is_sampled
from xasnn_stream.manifest import CARD
from xasnn_stream.training.card import FIGURE
from xasnn_stream.training.card_tables import (
    baselines_table,
    errors_table,
    intervals_table,
    novelty_table,
    table,
)
from xasnn_stream.training.joint_scores import EdgeScores

_POINTS = 10
"""Draws per particle shown in the figure."""


def write_alloy_card(
    folder: Path,
    manifest: Mapping[str, Any],
    limits: Sequence[str],
    scores: tuple[EdgeScores, EdgeScores],
) -> None:
    """Write `card.md` and its figure; `manifest` holds the metrics of both parts."""
    _parity(folder / FIGURE, scores)
    parts = manifest["parts"]
    edges = " and ".join(f"{part['element']} {part['edge']}" for part in parts)
    names = ", ".join(name for part in parts for name in part["descriptors"])
    sections = "\n".join(map(_edge, parts))
    text = f"""# {manifest["name"]}

Neighbours of each kind in the first shell ({names}) of particles of two metals, from the {edges} XANES, each read
from the *difference* between a normalized sample and a foil of the pure metal of the same beamtime. Each
edge is a model by itself, named `{manifest["name"]}#{parts[0]["element"]}_{parts[0]["edge"]}` where one must be chosen; `xasnn-stream analyze` with a
scan of each and `--composition` joins them.

## Training data

{_data(parts)}
A site's lattice follows the composition by Vegard's rule. Sites were *sampled* of particles, up to four per element and
particle, so no particle can be formed whole: what was sampled of one stands for it, and is one unit wherever
particles are counted. Everything is drawn under the nuisances of `recipe.yaml`, the alloys' sites mixed with each
other and with those of the pure metal. Trained with torch {manifest["versions"]["torch"]}, seed {manifest["seed"]}.

{sections}
## Both edges together

Of bonds between unlike atoms there are as many from both ends: x_A·C_AB = x_B·C_BA. `analyze --composition` moves the
four numbers as little as it can, by their errors, until they agree with it, are not negative and not more than an
atom can have. On the {manifest["joint"]["n_particles"]} held-out alloys of which sites of both elements were sampled, under N1, for the
composition that their true numbers imply:

{_joint_table(manifest["joint"])}

The edges are taken as independent. An error that both share, such as that of the potentials, is not seen.

![Held-out alloys under N1]({FIGURE})

## Limits

{chr(10).join(f"- {limit}" for limit in limits)}
"""
    (folder / CARD).write_text(text)


def _data(parts: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for part in parts:
        held = [name for name in part["held_out"] if is_sampled(name)]
        trained = [name for name in part["training_particles"] if is_sampled(name)]
        pure = len(part["training_particles"]) - len(trained)
        lines.append(
            f"- {part['element']} {part['edge']}: {part['library']['file']} (sha256 "
            f"{part['library']['sha256'][:16]}…), sites of {len(trained)} alloyed particles and bulk alloys, and "
            f"{pure} particles of pure {part['element']}. Held out before mixing, with every site: "
            f"{len(held)} alloys ({', '.join(held)}) and "
            f"{', '.join(name for name in part['held_out'] if not is_sampled(name))}."
        )
    return "\n".join(lines) + "\n"


def _edge(part: Mapping[str, Any]) -> str:
    rows = [row for row in part["metrics"] if row["shapes"] == "all"]
    names = part["descriptors"]
    return f"""## {part["element"]} {part["edge"]}

MAE of the network, of ridge regression in brackets. *N1* is the named set of nuisances at noise 0.2 % per 1 eV,
*noise* 0.5 % noise and nothing else, *N1+noise* both. `foil` is a foil read with another measurement of itself:
it has no unlike neighbours, nor have the held-out particles of the pure metal.

{errors_table(rows, names)}

{baselines_table(rows, names)}

The lattice follows the composition, and so tells much of who the neighbours are. With the *true* number of all first
neighbours beside it, and no spectrum, the held-out alloys are known to {_told(part["from_lattice"])}.

Intervals are conformal, calibrated on {part["calibration"]["particles"]} training particles and alloys by the members that never saw them; every particle
counts once. The sites of alloys are few: what is unlike all of them may err more.
Coverage is at 68 / 90 / 95 %, in percent; with so few particles it is itself uncertain by ten points and more.

{intervals_table(rows, names)}

How well novelty tells these spectra from the same with a flaw of each family: AUROC, in brackets the share not let
pass as `ok`, of *none* false alarms.

{novelty_table(rows)}
"""


def _told(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{error:.2f} ({name})" for name, error in errors.items())


def _joint_table(joint: Mapping[str, Any]) -> str:
    names = list(joint["alone"]["mae"])
    lines = [
        [title, *(_cell(joint[of], name) for name in names)]
        for of, title in (("alone", "each edge alone"), ("together", "together"))
    ]
    about = "MAE (coverage of the 90 % interval, its median width):"
    return f"{about}\n\n{table(('', *names), lines)}"


def _cell(scores: Mapping[str, Mapping[str, float]], name: str) -> str:
    return (
        f"{scores['mae'][name]:.2f} ({scores['coverage'][name]:.0%}, "
        f"{scores['width90'][name]:.1f})"
    )


def _parity(path: Path, scores: tuple[EdgeScores, EdgeScores]) -> None:
    """Plot estimates over the truth, a few draws of every held-out alloy."""
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4))
    for k, of in enumerate(scores):
        shown = slice(None, None, max(len(of.truth) * _POINTS // 1000, 1))
        for j, name in enumerate(of.names):
            axis = axes[2 * k + j]
            truth, value = of.truth[shown, j], of.value[shown, j]
            margins = (value - of.low[shown, j], of.high[shown, j] - value)
            axis.errorbar(truth, value, margins, fmt="o", ms=2, lw=0.4, alpha=0.6)
            axis.axline((0.0, 0.0), slope=1, color="0.6")
            axis.set(title=name, xlabel="truth")
    axes[0].set_ylabel("estimate, 90 % interval")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
