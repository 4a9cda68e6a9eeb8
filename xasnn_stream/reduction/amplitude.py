"""Amplitudes that are too small: fluorescence beside its transmission, thick samples."""

from xasnn_stream.physics.normalization.normalize import Normalized, normalize
from xasnn_stream.physics.normalization.over_absorption import (
    TOO_DAMPED,
    TOO_THICK,
    damping,
)
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.reduction.curves import Account, Curves
from xasnn_stream.reduction.scatter import scatter


def tell_amplitude(curves: Curves, found: Normalized, settings: Normalization) -> None:
    """Note damping of fluorescence and thick transmission in the accounts."""
    for account, step in zip(curves.accounts, found.edge_step.tolist(), strict=True):
        is_transmission = account.signal.mode == "transmission"
        if is_transmission and account.signal.i0 is not None and step > TOO_THICK:
            text = f"an edge step of {step:.1f}: so thick that leaks damp the spectrum"
            account.flag("thick", text)
    has = (curves.transmission.isfinite() | ~curves.valid).all(-1)
    rows = has.nonzero().squeeze(-1).tolist()
    if not rows:
        return
    part, e0 = curves.rows(rows), found.e0[rows]
    beside = normalize(part.energy, part.transmission, part.valid, settings, e0)
    *_, noise = scatter(part.energy, part.valid, beside)
    compared = damping(
        part.energy,
        found.flat[rows],
        part.valid,
        e0,
        part.energy,
        beside.flat,
        part.valid,
        noise,
    )
    for account, *numbers in zip(
        part.accounts,
        compared.factor.tolist(),
        compared.std.tolist(),
        compared.is_told.tolist(),
        strict=True,
    ):
        _tell(account, *numbers)


def _tell(account: Account, factor: float, std: float, is_told: bool) -> None:
    if not is_told:
        return
    account.done["damping"] = {"factor": factor, "std": std}
    if factor + 2 * std < TOO_DAMPED:
        text = f"fine structure is {factor:.2f} ± {std:.2f} of that in transmission"
        account.flag("over_absorption", f"{text}: over-absorbed")
