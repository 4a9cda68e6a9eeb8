"""What novelty has to notice: flaws put on curves before they are aligned.

Each family has its amplitudes in `models/novelty-families.yaml`, the same for every model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from xasnn_stream.engine.inference import Differences, noise_level
from xasnn_stream.engine.model import Model
from xasnn_stream.errors import ModelError
from xasnn_stream.physics.instrument import (
    HC2_OVER_2M_EV_A2,
    absorb_again,
    broaden,
    distort_energy,
)
from xasnn_stream.physics.white_line import OXIDE, WhiteLine, white_line
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.training.nuisances import Measured, Stage, subtracted
from xasnn_stream.training.scored import as_double
from xasnn_stream.uncertainty.metrics import auroc
from xasnn_stream.uncertainty.novelty import (
    DOUBTED_FROM,
    edge_shift_score,
    novelty_tests,
)

FILE = "novelty-families.yaml"
SCHEMA = "xasnn.novelty-families/1"

Flaw = Callable[[Stage, Tensor, Tensor], Tensor]
"""From the stage, curves of samples (`draws x energy`) and an amplitude of random sign
(`draws`) to the spoiled curves."""

_SEED = 11
_EVERY = 4
"""Of so many spectra one is spoiled: an area under a curve needs some hundreds."""
_GLITCH_EV = (-5.0, 45.0)
"""Where glitches are put: within what every model reads."""
_THICKNESS = 1.5
"""Edge step in transmission that harmonics leak through."""
_NO_WHITE_LINE_EV, _OTHER_LATTICE = 15.0, 1.08
"""Width over which another edge is smooth; its energies are scaled by the lattice."""


@dataclass(frozen=True, slots=True)
class Compound:
    """A metal's chloride over its atomic background: white line and one light shell.

    The shell is `height` cos(`beat_a` (k - `top`)), k in 1/Å: the phase of the metal and
    its neighbour together.
    """

    line: WhiteLine
    height: float
    beat_a: float
    top: float


CHLORIDE = Compound(WhiteLine(at_ev=3.0, fwhm_ev=5.0, height=0.45), 0.12, 3.6, 3.7)
"""Between measured PtCl₄ and K₂PtCl₆, which differ in their white lines by 0.8."""


def chloride(on: Stage, compound: Compound) -> Tensor:
    """Return normalized μ of a chloride on the stage's energies, `energy`."""
    k = (on.x.clamp(min=0) / HC2_OVER_2M_EV_A2).sqrt()
    shell = compound.height * torch.cos(compound.beat_a * (k - compound.top))
    behind = torch.sigmoid((on.x - 8.0) / 2.0)
    return on.atomic + white_line(on.x, compound.line) + behind * shell


def _energy_shift(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    return distort_energy(mu, on.x, size, torch.ones_like(size))


def _another_edge(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    """Replace a share by an edge without a white line, of another lattice."""
    rise = 0.5 + torch.atan(on.x / 2.5) / torch.pi
    one = torch.ones_like(size)
    smooth = broaden(mu, on.x, _NO_WHITE_LINE_EV * one)
    fine = distort_energy(mu - smooth, on.x, 0 * one, _OTHER_LATTICE * one)
    other = rise + torch.sigmoid((on.x - 8.0) / 2.0) * fine
    share = size.abs().unsqueeze(-1)
    return (1 - share) * mu + share * other


def _self_absorption(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    del on
    return absorb_again(mu, size.abs())


def _harmonics(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    """Leak a share of the light in front of the edge through a transmission sample."""
    del on
    leak = size.abs().unsqueeze(-1)

    def seen(of: Tensor) -> Tensor:
        return -torch.log((torch.exp(-_THICKNESS * of) + leak) / (1 + leak))

    return seen(mu) / seen(torch.ones_like(leak))


def _glitch(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    """Move one reading of a scan in steps of 0.5 eV, at an energy of its own."""
    low, high = _GLITCH_EV
    rng = torch.Generator().manual_seed(_SEED)
    at = low + (high - low) * torch.rand(len(mu), 1, generator=rng)
    return mu + size.unsqueeze(-1) * ((on.x - at).abs() <= 0.25)


def _oxide(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    return mu + size.abs().unsqueeze(-1) * white_line(on.x, OXIDE)


def _chloride(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    share = size.abs().unsqueeze(-1)
    return (1 - share) * mu + share * chloride(on, CHLORIDE)


def _edge_step(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    del on
    return mu * (1 + size).unsqueeze(-1)


def _slope(on: Stage, mu: Tensor, size: Tensor) -> Tensor:
    return mu + size.unsqueeze(-1) * on.x.clamp(min=0) / 100


FAMILIES: Mapping[str, Flaw] = {
    "energy_shift": _energy_shift,
    "another_edge": _another_edge,
    "self_absorption": _self_absorption,
    "glitch": _glitch,
    "oxide": _oxide,
    "chloride": _chloride,
    "edge_step": _edge_step,
    "slope": _slope,
    "harmonics": _harmonics,
}
"""Every family by name."""


def spoiled(on: Stage, pair: Measured, family: str, amplitude: float) -> Differences:
    """Return the differences of samples with a flaw; foils stay as they are.

    `amplitude` is in the units of the family's file; its sign is drawn for each spectrum
    where both are flaws.
    """
    rng = torch.Generator().manual_seed(_SEED)
    sign = 1 - 2.0 * torch.randint(2, (len(pair.sample),), generator=rng)
    sample = FAMILIES[family](on, pair.sample, amplitude * sign)
    return subtracted(on, replace(pair, sample=sample))


def read_amplitudes(path: str | Path | None = None) -> dict[str, float]:
    """Return the committed amplitude of every family.

    Raises
    ------
    ModelError
        If the file cannot be read, or its families are not those of `FAMILIES`.
    """
    path = Path(path or shipped_folder("models") / FILE)
    try:
        document: Any = yaml.safe_load(path.read_text())
        found = {
            name: float(v["amplitude"]) for name, v in document["families"].items()
        }
        schema = document["schema"]
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise ModelError(f"{path} does not name families: {error!r}") from error
    if schema != SCHEMA or found.keys() != FAMILIES.keys():
        wanted = ", ".join(FAMILIES)
        raise ModelError(f"{path} is not {SCHEMA} with exactly the families {wanted}")
    return found


def scores(model: Model, drawn: Differences) -> Tensor:
    """Return the largest score of each spectrum, that of its edge included, `batch`."""
    tests = novelty_tests(model.novelty, drawn.values, noise_level(drawn.noise))
    return torch.maximum(
        tests.amax(-1), edge_shift_score(model.novelty, drawn.edge_shift)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Noticed:
    """Scores of clean spectra and of the same with each flaw, `spectra`.

    `rows` says which of the draws they are of.
    """

    rows: tuple[int, ...]
    clean: Tensor
    flawed: Mapping[str, Tensor]

    def only(self, rows: Sequence[int]) -> "Noticed":
        """Return those of some draws."""
        wanted = set(rows)
        places = [i for i, row in enumerate(self.rows) if row in wanted]
        some = {name: found[places] for name, found in self.flawed.items()}
        return Noticed(tuple(self.rows[i] for i in places), self.clean[places], some)

    def summary(self) -> dict[str, dict[str, float]]:
        """Return AUROC, false alarms at 95 % detection and shares doubted, by family.

        `mean` is that over families; `none` in the shares doubted are false alarms.
        """
        area = {name: auroc(self.clean, found) for name, found in self.flawed.items()}
        area["mean"] = sum(area.values()) / len(area)
        alarms = {
            name: float((self.clean > found.quantile(0.05)).double().mean())
            for name, found in self.flawed.items()
        }
        shares = {
            name: float((found > DOUBTED_FROM).double().mean())
            for name, found in {"none": self.clean, **self.flawed}.items()
        }
        return {
            "novelty_auroc": _rounded(area),
            "novelty_fpr95": _rounded(alarms),
            "novelty_doubted": _rounded(shares),
        }


def notice(model: Model, on: Stage, pair: Measured) -> Noticed:
    """Score some of the measured pairs, as they are and with every family's flaw."""
    rows = tuple(range(0, len(pair.sample), _EVERY))
    some = replace(
        pair,
        sample=pair.sample[::_EVERY],
        foil=pair.foil[::_EVERY],
        noise=pair.noise[:, ::_EVERY],
    )

    def of(drawn: Differences) -> Tensor:
        return scores(model, as_double(drawn, model.device)).cpu()

    flawed = {
        family: of(spoiled(on, some, family, amplitude))
        for family, amplitude in read_amplitudes().items()
    }
    return Noticed(rows, of(subtracted(on, some)), flawed)


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in found.items()}
