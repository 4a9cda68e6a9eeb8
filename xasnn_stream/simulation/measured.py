"""Measured spectra through RunEngine, proxy and daemon, as a table beside the truth.

Every sample is read with the foil of another laboratory: a foil against itself is zero
by construction and proves nothing.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xasnn_stream.client import Subscription, subscribe
from xasnn_stream.errors import UsageError
from xasnn_stream.library import SHELL_BULK_CN
from xasnn_stream.simulation.experiment import experiment, run_plan
from xasnn_stream.simulation.playback import playback, read_recording
from xasnn_stream.simulation.processes import Children, ProcessError
from xasnn_stream.simulation.services import (
    Services,
    plan_services,
    start_daemon,
    start_proxy,
)
from xasnn_stream.wording import with_interval

PROFILE = "sim-step"
RESULT_S = 60.0

_FOIL_BEHIND_SAMPLE = {"i0": "it", "it": "ir"}
_NO_REFERENCE_CHANNEL = {"i0": "i0", "it": "it"}


@dataclass(frozen=True, slots=True)
class Metal:
    """A metal's model, and the distance of nearest neighbours in its crystal, Å."""

    model: str
    nearest: float


METALS = {"Pt": Metal("pt-l3-xanes", 2.775), "Au": Metal("au-l3-xanes", 2.884)}


@dataclass(frozen=True, slots=True)
class Foil:
    """A reference foil of a laboratory; `file` is what `--reference` takes."""

    element: str
    laboratory: str
    file: str


_PTRU = "BMM_Pt-L3-PtRu.csv"
_ACETATE = "BMM_Au-L3-GoldAcetate.csv"
"""The reference channels hold the foils of the laboratory called BMM."""

_PT_BMM = Foil("Pt", "BMM", f"{_PTRU}#mu_ref")
_PT_13IDC = Foil("Pt", "13-ID-C", "Pt_L3_13IDC2001.csv")
_AU_BMM = Foil("Au", "BMM", f"{_ACETATE}#mu_ref")
_AU_13IDE = Foil("Au", "13-ID-E", "Au_L3_13IDE2016.csv")
FOILS = (_PT_BMM, _PT_13IDC, _AU_BMM, _AU_13IDE)


@dataclass(frozen=True, slots=True)
class Case:
    """A measured sample, which columns are played, and against which foils."""

    name: str
    file: str
    foils: tuple[Foil, ...]
    columns: Mapping[str, str] | None = None
    fit: str = ""


CASES = (
    Case("Pt foil, 13-ID-C", "Pt_L3_13IDC2001.csv", (_PT_BMM,)),
    Case("Pt foil, BMM", _PTRU, (_PT_13IDC,), _FOIL_BEHIND_SAMPLE),
    *(
        Case(
            f"Pt/C {share} wt%, {kelvin} K",
            f"PtNP_{share}wt_{kelvin}K.csv",
            (_PT_BMM, _PT_13IDC),
            fit=f"PtNP_{share}wt_{kelvin}K",
        )
        for share in (10, 20)
        for kelvin in (20, 150, 300)
    ),
    Case("PtRu (oxide-like)", _PTRU, (_PT_13IDC,), _NO_REFERENCE_CHANNEL),
    Case(
        "PtCl₄",
        "BMM_Pt-L3-PlatinumChloride.csv",
        (_PT_13IDC,),
        _NO_REFERENCE_CHANNEL,
    ),
    Case(
        "K₂PtCl₆",
        "BMM_Pt-L3-PotassiumHexaChloroPlatinate.csv",
        (_PT_13IDC,),
        _NO_REFERENCE_CHANNEL,
    ),
    Case("Au foil, 13-ID-E", "Au_L3_13IDE2016.csv", (_AU_BMM,)),
    Case("Au foil, BMM", _ACETATE, (_AU_13IDE,), _FOIL_BEHIND_SAMPLE),
    Case("Au acetate", _ACETATE, (_AU_13IDE,), _NO_REFERENCE_CHANNEL),
)

_FOIL_S02 = 0.80
"""First-shell amplitude of Pt foils in the same fits: amplitude / 0.80 · 12 ≈ cn1."""


def measured_table(data: Path) -> list[str]:
    """Play everything back against each foil; return the table's lines, Markdown.

    Raises
    ------
    UsageError
        If the measured data are not there.
    """
    spectra = data / "spectra"
    if not spectra.is_dir():
        raise UsageError(f"{spectra} is not there; --data names the measured spectra")
    truths = exafs_truths(data)
    lines = [
        "| sample | foil | cn1 | cn2 | cn3 | cn4 | r1 / Å | verdict | EXAFS, or crystal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for foil in FOILS:
        cases = [case for case in CASES if foil in case.foils]
        estimates = _play(spectra, foil, cases)
        lines += [
            table_row(case, foil, estimate, truths)
            for case, estimate in zip(cases, estimates, strict=True)
        ]
    return lines


def _play(spectra: Path, foil: Foil, cases: list[Case]) -> list[dict[str, Any]]:
    """Return the estimate of every case from a daemon that was given the foil."""
    with tempfile.TemporaryDirectory(prefix="xasnn-measured-") as folder:
        services = plan_services(Path(folder))
        with Children(services.folder / "logs") as children:
            start_proxy(children, services)
            start_daemon(
                children,
                services,
                PROFILE,
                foil=str(spectra / foil.file),
                results=False,
                model=METALS[foil.element].model,
            )
            with subscribe(services.feed, timeout_s=RESULT_S) as feed:
                if not feed.ready(RESULT_S):
                    raise ProcessError(f"the feed {services.feed} does not answer")
                return _measure(services, feed, spectra, cases)


def _measure(
    services: Services, feed: Subscription, spectra: Path, cases: list[Case]
) -> list[dict[str, Any]]:
    with experiment(publish=services.publish) as engine:
        for case in cases:
            recording = read_recording(spectra / case.file, case.columns)
            run_plan(engine, playback(recording, sample=case.name))
        # In this order: the feed is not asked for more than there are cases.
        found = [result.estimate for _, result in zip(cases, feed, strict=False)]
    if [estimate["sample"] for estimate in found] != [case.name for case in cases]:
        raise ProcessError("not every measured file came back as an estimate")
    return found


def exafs_truths(data: Path) -> dict[str, str]:
    """Return what first-shell fits of the EXAFS say about the nanoparticles."""
    path = data / "reference" / "feffit_nanoparticles.json"
    return {fit["id"]: _exafs(**fit) for fit in json.loads(path.read_text())["fits"]}


def _exafs(amp: float, R1: float, **_: object) -> str:  # noqa: N803 - the fit's name
    return f"amplitude {amp:.2f}: cn1 ≈ {12 * amp / _FOIL_S02:.1f}; r1 {R1:.3f}"


def table_row(
    case: Case, foil: Foil, estimate: dict[str, Any], truths: dict[str, str]
) -> str:
    """Return one line of the table: a case read with a laboratory's foil."""
    cells = [case.name, foil.laboratory]
    descriptors = estimate["descriptors"]
    for name in ("cn1", "cn2", "cn3", "cn4", "r1"):
        found = descriptors.get(name)
        cells.append("" if found is None else with_interval(found))
    codes = ", ".join(reason["code"] for reason in estimate["reasons"])
    cells.append(f"{estimate['verdict']} {codes}".strip())
    cells.append(_truth(case, foil.element, truths))
    return "| " + " | ".join(cells) + " |"


def _truth(case: Case, element: str, truths: dict[str, str]) -> str:
    if case.fit:
        return truths[case.fit]
    if "foil" in case.name:
        numbers = ", ".join(f"{number:g}" for number in SHELL_BULK_CN)
        return f"{numbers}; {METALS[element].nearest:.3f}"
    return "not a metal particle"
