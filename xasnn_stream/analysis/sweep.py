"""A file's scan as the sweep the engine takes."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xasnn_stream.analysis.which_edge import Edge
from xasnn_stream.files.scan import Scan
from xasnn_stream.spectrum import Accounting, FloatArray, Run, Spectrum

PROFILE = "analyze"

_NUMBER = re.compile(r"[0-9]{1,18}")
"""A scan's name that is its number, as in SPEC files."""

_NEEDED = {"transmission": ("i0", "it"), "fluorescence": ("i0", "if")}
"""Counts by mode; those of the reference channel are taken along."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A file: its path, the hash of its content, its time (epoch seconds)."""

    path: Path
    sha256: str
    modified: float


def origin_of(path: Path, content: bytes) -> Origin:
    """Return where scans come from."""
    return Origin(path, hashlib.sha256(content).hexdigest(), path.stat().st_mtime)


def sweep_of(scan: Scan, index: int, origin: Origin, mode: str, edge: Edge) -> Spectrum:
    """Return a scan as a sweep; rows without a number in its signal are left out.

    The run's uid is of the file's content and the scan's name, so that the same file
    gives the same ids. Rows left out make the sweep incomplete.
    """
    signal, channels = _channels(scan, mode)
    good = np.ones(len(scan.energy_ev), bool)
    for role in signal:
        good &= np.isfinite(channels[role])
    lost = scan.left_out + int(np.count_nonzero(~good))
    energy = scan.energy_ev[good]
    uid = hashlib.sha256(f"{origin.sha256} {scan.name}".encode()).hexdigest()[:32]
    start = scan.facts.start or origin.modified
    kelvin = scan.facts.temperature_k
    return Spectrum(
        run=Run(
            uid=uid,
            scan_id=int(scan.name) if _NUMBER.fullmatch(scan.name) else None,
            sweep=index,
            direction="down" if len(energy) and energy[-1] < energy[0] else "up",
            progress=1.0,
            final=True,
            complete=lost == 0,
            source=str(origin.path),
        ),
        profile=PROFILE,
        sample=scan.facts.sample
        or f"{origin.path.name.split('.')[0]} {scan.name}".strip(),
        element=edge.element,
        edge=edge.edge,
        time=(start, start),
        energy_ev=energy,
        channels={role: values[good] for role, values in channels.items()},
        conditions={} if kelvin is None else {"temperature_k": kelvin},
        accounting=Accounting(n_missed=lost),
    )


def _channels(scan: Scan, mode: str) -> tuple[tuple[str, ...], dict[str, FloatArray]]:
    """Return the roles of the signal and all channels of a mode.

    Those are its counts if they are there, else absorption as given; with neither the
    engine says what is missing.
    """
    signal, beside = _NEEDED[mode], ("it", "ir")
    if "mu" in scan.channels and not set(signal) <= set(scan.channels):
        signal, beside = ("mu",), ("mu_reference",)
    there = tuple(role for role in signal if role in scan.channels)
    roles = (*there, *beside)
    return there, {r: scan.channels[r] for r in roles if r in scan.channels}
