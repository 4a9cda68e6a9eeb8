"""Measured Pt foils and Pt/C particles, read as the networks of the study read theory.

Every sample is read against the foil of one laboratory: the other laboratory's foil, for
which all coordination numbers are known, and six scans of particles, of which first-shell
fits of the EXAFS know cn1 to about 10 %.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.engine.foil import Foil, read_foil
from xasnn_stream.engine.measure import common_limits, on_grid, see
from xasnn_stream.engine.seen import Curves
from xasnn_stream.errors import UsageError
from xasnn_stream.library import SHELL_BULK_CN
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.training.nuisances import Stage
from xasnn_stream.training.study.views import Views

ELEMENT, EDGE = "Pt", "L3"

_FOIL = "BMM_Pt-L3-PtRu.csv#mu_ref"
_OTHER_FOIL = "Pt_L3_13IDC2001.csv"
_PARTICLES = tuple(
    f"PtNP_{share}wt_{kelvin}K" for share in (10, 20) for kelvin in (20, 150)
)
"""The scans of one beamtime; those at 300 K are of another, or another state."""

_FOIL_S02 = 0.80
"""First-shell amplitude of Pt foils in the same fits: amplitude / 0.80 · 12 ≈ cn1."""

_NORMALIZATION = Normalization(
    pre1=-150.0, pre2=-30.0, norm1=150.0, norm2=400.0, nnorm=1
)
_E0_WITHIN_EV = 15.0
_SHARES = torch.linspace(0.0, 1.0, 5)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Measured samples by name, one row of `views` each, and their `cn1`."""

    names: tuple[str, ...]
    views: Views
    cn1: tuple[float, ...]


def read_known(data: Path, on: Stage) -> Known:
    """Read the measured samples, the foil first.

    Raises
    ------
    UsageError, FoilError
        If the folder is another one, or a spectrum in it cannot be read.
    """
    spectra = data / "spectra"
    if not spectra.is_dir():
        raise UsageError(f"{spectra} is not there; --data names the measured spectra")
    foil = read_foil(str(spectra / _FOIL))
    others = [_OTHER_FOIL, *(f"{name}.csv" for name in _PARTICLES)]
    rows = [_against(on, read_foil(str(spectra / name)), foil) for name in others]
    path = data / "reference" / "feffit_nanoparticles.json"
    fits = {fit["id"]: fit["amp"] for fit in json.loads(path.read_text())["fits"]}
    bulk = SHELL_BULK_CN[0]
    return Known(
        names=("foil", *_PARTICLES),
        views=Views(
            *(torch.cat([getattr(row, k) for row in rows]) for k in Views.__slots__)
        ),
        cn1=(bulk, *(bulk * fits[name] / _FOIL_S02 for name in _PARTICLES)),
    )


def _against(on: Stage, sample: Foil, foil: Foil) -> Views:
    """Normalize a sample and its foil in the range both cover, and align them."""
    mine, theirs = _curves(sample), _curves(foil)
    limits = common_limits(mine.reach(None), theirs.reach(None))
    grid = on.grid.double()
    seen, subtracted = (
        on_grid(see(of, _NORMALIZATION, limits), grid, on.edge_at)
        for of in (mine, theirs)
    )
    noise = seen.noise.square().mean(-1)
    foil_noise = subtracted.noise.square().mean(-1)
    return Views(
        difference=(seen.values - subtracted.values).float(),
        absolute=seen.values.float(),
        noise=(noise + foil_noise).sqrt().float(),
        sample_noise=noise.sqrt().float(),
    )


def _curves(of: Foil) -> Curves:
    energy, mu = (torch.from_numpy(a).unsqueeze(0) for a in (of.energy_ev, of.mu))
    tabulated = torch.tensor([edge_energy_ev(ELEMENT, EDGE)], dtype=energy.dtype)
    window = (tabulated - _E0_WITHIN_EV, tabulated + _E0_WITHIN_EV)
    valid = torch.ones_like(mu, dtype=torch.bool)
    return Curves(energy, mu, valid, find_e0(energy, mu, valid, window))


def mixtures(known: Known) -> Views:
    """Mix every particle with the foil, `particles * shares` rows, shares fastest.

    Curves are mixed where their edges are aligned, so the mixture is exactly linear.
    """
    count = len(known.names) - 1

    def mixed(of: Tensor) -> Tensor:
        share = _SHARES.reshape(-1, *([1] * (of.dim() - 1)))
        return torch.cat(
            [share * of[1 + k] + (1 - share) * of[0] for k in range(count)]
        )

    return Views(*(mixed(getattr(known.views, k)) for k in Views.__slots__))


def bending(cn1: Tensor) -> Tensor:
    """Return how far estimates of `mixtures` leave the straight line, `members`.

    `cn1` is `members x rows`; the line is between the estimates of foil and particle, and
    the largest distance over all particles and shares counts.
    """
    curves = cn1.unflatten(1, (-1, len(_SHARES)))
    line = curves[..., :1] + _SHARES * (curves[..., -1:] - curves[..., :1])
    return (curves - line).abs().amax((1, 2))


def table(known: Known, cn1: Tensor) -> list[Mapping[str, object]]:
    """Return a row per sample: what EXAFS or the crystal says and the mean of members."""
    return [
        {"sample": name, "cn1": round(float(value), 2), "known": round(truth, 1)}
        for name, value, truth in zip(known.names, cn1.mean(0), known.cn1, strict=True)
    ]
