"""The scorecard: every method on every set, and as a table."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xasnn_stream.errors import UsageError
from xasnn_stream.physics.denoise.table import DENOISERS
from xasnn_stream.scorecard.bare import score_bare
from xasnn_stream.scorecard.known import read_known, score_known
from xasnn_stream.scorecard.repeats import read_repeats, score_repeats
from xasnn_stream.scorecard.score import Hallucination, Score
from xasnn_stream.shipped import shipped_folder

REPEATS = ("Cr2O3", "Hg_control")
"""Folders of `spectra/` that hold repeats of one sample."""

_LIBRARY = Path("libraries") / "Pt_L3.npz"
_NOISES = (0.003, 0.01, 0.03)
_COPIES = 128
_BARE_NOISE, _BARE_COPIES = 0.01, 200


@dataclass(frozen=True, slots=True)
class Request:
    """What is scored: `data` holds `spectra/`; further folders of repeats; methods.

    `copies` is the number of noisy copies of each known spectrum and noise.
    """

    data: Path | None = None
    repeats: tuple[Path, ...] = ()
    methods: tuple[str, ...] = tuple(DENOISERS)
    copies: int = _COPIES


def scores(request: Request) -> Iterator[Score | Hallucination]:
    """Yield the scores of all methods, set by set.

    Raises
    ------
    UsageError
        If there is no such method, or the measured data are not where they were said to
        be.
    FileError
        If a folder of repeats has too few scans that can be compared.
    """
    unknown = [name for name in request.methods if name not in DENOISERS]
    if unknown:
        known = ", ".join(DENOISERS)
        raise UsageError(f"no denoiser {', '.join(unknown)}; there are {known}")
    spectra = None if request.data is None else request.data / "spectra"
    if spectra is not None and not spectra.is_dir():
        raise UsageError(f"{spectra} is not there; --data names the measured spectra")
    folders = [*request.repeats]
    if spectra is not None:
        folders += [spectra / name for name in REPEATS if (spectra / name).is_dir()]
    for folder in folders:
        repeats = read_repeats(folder)
        for name in request.methods:
            yield score_repeats(repeats, name, DENOISERS[name])
    known = read_known(spectra, shipped_folder("models") / _LIBRARY)
    for noise in _NOISES:
        for name in request.methods:
            yield score_known(known, noise, request.copies, name, DENOISERS[name])
    for name in request.methods:
        yield score_bare(_BARE_NOISE, _BARE_COPIES, name, DENOISERS[name])


def document(row: Score | Hallucination) -> dict[str, Any]:
    """Return a row as a document of `--json`; what is not finite is null."""
    kind = "score" if isinstance(row, Score) else "hallucination"
    return {"kind": kind} | {key: _plain(value) for key, value in asdict(row).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return dict(zip(("value", "error"), map(_plain, value), strict=True))
    return None if isinstance(value, float) and not math.isfinite(value) else value


SCORE_HEAD = (
    "| set | method | RMSE | gain / dB | XANES | EXAFS | white line / σ | e0 / eV | "
    "edge step / % | autocorrelation | white |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)
BARE_HEAD = (
    "| bare edge, method | peak of k²χ(k) | peak of χ(R) | χ(R) without noise |",
    "|---|---|---|---|",
)


def table_row(row: Score | Hallucination) -> str:
    """Return a row of the Markdown table."""
    if isinstance(row, Hallucination):
        cells = [row.method, *(f"{x:.2f}" for x in (row.chi_k, row.chi_r, row.bare))]
    else:
        cells = [row.set, row.method, f"{row.rmse:.5f}", *_gains(row), *_biases(row)]
    return "| " + " | ".join(cells) + " |"


def _gains(row: Score) -> Sequence[str]:
    gains = (row.gain_db, row.gain_xanes_db, row.gain_exafs_db)
    return [f"{round(gain, 1) + 0.0:.1f}" for gain in gains]


def _biases(row: Score) -> Sequence[str]:
    step = tuple(100 * each for each in row.edge_step)
    white = "" if math.isnan(row.white) else f"{row.white:.0%}"
    return [
        _with_error(row.white_line),
        _with_error(row.e0_ev),
        _with_error(step),
        "" if math.isnan(row.correlation) else f"{row.correlation:+.2f}",
        white,
    ]


def _with_error(pair: Sequence[float]) -> str:
    value, error = pair
    return "" if math.isnan(value) else f"{value + 0.0:+.2f} ± {error:.2f}"
