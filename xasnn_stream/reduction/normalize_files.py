"""Measured files to normalized μ, χ(k) and χ(R): one result per scan, in batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xasnn_stream.analysis.analyze import Failure
from xasnn_stream.analysis.shipped_models import shipped_models
from xasnn_stream.analysis.which_edge import told_edge
from xasnn_stream.edges import ELEMENTS
from xasnn_stream.engine.foil import Foil
from xasnn_stream.errors import FileError, UsageError
from xasnn_stream.files.read import read_scans
from xasnn_stream.physics.settings import Denoising, Reduction
from xasnn_stream.reduction.normalized_scan import NormalizedScan
from xasnn_stream.reduction.signal import Signal, signal_of

BATCH = 256
"""Scans that go through physics together, of one file or of many."""

_MAX_K = 100.0
"""1/angstrom; no scan reaches it."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is done to μ before it is normalized.

    `others` are further elements of the sample, before whose edges ranges end; `denoise`
    names a denoiser; `jumps` says what is done about those above 10 % of the edge step.
    """

    others: tuple[str, ...] = ()
    deglitch: bool = True
    jumps: Literal["refuse", "repair", "keep"] = "refuse"
    rebin: bool = False
    denoise: Denoising = "none"
    align: bool = False
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What to normalize and how, and what the caller knows better than the files.

    `foil` is the standard that reference channels are compared with. `with_chi_std` asks
    for the standard deviation of χ as well, which takes as long as all the rest.
    """

    files: tuple[Path, ...]
    settings: Reduction = field(default_factory=Reduction)
    cleaning: Cleaning = field(default_factory=Cleaning)
    element: str | None = None
    edge: str | None = None
    mode: str | None = None
    columns: Mapping[str, str] | None = None
    foil: Foil | None = None
    with_chi_std: bool = False


def normalize_files(request: Request) -> Iterator[NormalizedScan | Failure]:
    """Yield a result for every scan of every file, and a failure per unreadable file.

    They come in the order of the files; at most `BATCH` scans and one file are in memory,
    with `merge` all scans. Torch is loaded when the first scan is ready for it.

    Raises
    ------
    UsageError
        If parameters contradict each other, or an edge or element does not exist.
    """
    told = told_edge(request.element, request.edge)
    _check(request)
    waiting: list[Signal | Failure] = []
    for found in _signals(request, told):
        waiting.append(found)
        if len(waiting) == BATCH and not request.cleaning.merge:
            yield from _reduced(waiting, request)
            waiting = []
    yield from _reduced(waiting, request)


def _signals(
    request: Request, told: tuple[str | None, str | None]
) -> Iterator[Signal | Failure]:
    models = shipped_models()
    for file in request.files:
        try:
            scans = read_scans(file, request.columns)
        except FileError as error:
            yield Failure(file, str(error))
            continue
        for scan in scans:
            yield signal_of(scan, file, request.mode, told, models)


def _reduced(
    waiting: list[Signal | Failure], request: Request
) -> Iterator[NormalizedScan | Failure]:
    """Reduce the signals together; failures keep their places."""
    signals = [each for each in waiting if isinstance(each, Signal)]
    if not signals:
        yield from (each for each in waiting if isinstance(each, Failure))
        return
    # Torch is loaded here, where there is something to compute.
    if request.cleaning.merge:
        from xasnn_stream.reduction.merging import merged

        yield from (each for each in waiting if isinstance(each, Failure))
        yield from merged(signals, request)
        return
    from xasnn_stream.reduction.batch import reduce_signals

    results = iter(reduce_signals(signals, request))
    for each in waiting:
        yield next(results) if isinstance(each, Signal) else each


def _check(request: Request) -> None:
    """Refuse parameters that contradict each other.

    Raises
    ------
    UsageError
        In one sentence.
    """
    normalization = request.settings.normalization
    background, transform = request.settings.background, request.settings.transform
    for low, high, names in (
        (normalization.pre1, normalization.pre2, "--pre1 and --pre2"),
        (background.kmin, background.kmax, "--bkg-kmin and --bkg-kmax"),
        (transform.kmin, transform.kmax, "--kmin and --kmax"),
    ):
        if low is not None and high is not None and not low < high:
            raise UsageError(f"{names}: {low:g} is not below {high:g}")
    for value, name in (
        (background.rbkg, "--rbkg"),
        (transform.rmax_out, "--rmax"),
        (1.0 if normalization.e0 is None else normalization.e0, "--e0"),
    ):
        if not value > 0:
            raise UsageError(f"{name} {value:g}: must be above zero")
    for value, name in (
        (normalization.nnorm, "--nnorm"),
        (transform.kweight, "--kweight"),
    ):
        if value is not None and value not in range(4):
            raise UsageError(f"{name} {value}: 0, 1, 2 or 3")
    for value, name, most in (
        (background.nclamp, "--nclamp", 100),
        (transform.dk, "--dk", _MAX_K),
        (transform.kmax, "--kmax", _MAX_K),
    ):
        if not 0 <= value <= most:
            raise UsageError(f"{name} {value:g}: from 0 to {most:g}")
    unknown = [name for name in request.cleaning.others if name not in ELEMENTS]
    if unknown:
        raise UsageError(f"--others {','.join(unknown)}: no such element")
