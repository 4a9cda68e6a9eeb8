"""Repeats of one sample as one scan, without those that are unlike the others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from xasnn_stream.errors import UsageError
from xasnn_stream.physics.ragged import widen
from xasnn_stream.physics.signals.merge import REASONS, USED, Merged, merge
from xasnn_stream.reduction.batch import reduce_curves, refused
from xasnn_stream.reduction.cleaning import edges, usable_curves
from xasnn_stream.reduction.curves import Account, Curves
from xasnn_stream.reduction.normalize_files import BATCH, Request
from xasnn_stream.reduction.normalized_scan import NormalizedScan
from xasnn_stream.reduction.signal import Signal

_WIDTHWISE = ("energy", "mu", "valid", "i0", "reference", "transmission", "noise")
_NAMED = 5
"""Scans left out that a sentence names; the result has all."""
_UNLIKE = 7.0
"""Scatter over what noise predicts, squared; repeats of one sample stay below 5."""


def merged(signals: Sequence[Signal], request: Request) -> Iterator[NormalizedScan]:
    """Yield the merge of all usable scans, or each unusable one where there is none.

    Raises
    ------
    UsageError
        If the scans are not of one edge.
    """
    accounts = [Account(signal) for signal in signals]
    names = {account.edge_name for account in accounts}
    if len(names) > 1:
        shown = " and ".join(sorted(name or "an unknown edge" for name in names))
        raise UsageError(f"--merge: scans of {shown}; name repeats of one sample")
    parts = [
        usable_curves(accounts[start : start + BATCH], request)
        for start in range(0, len(accounts), BATCH)
    ]
    curves = _joined([part for part in parts if part.accounts])
    if curves is None:
        yield from (refused(account) for account in accounts)
        return
    e0 = edges(curves, request.settings.normalization)
    found = merge(curves.energy, curves.mu, curves.valid, e0, curves.noise)
    yield from reduce_curves(_as_curves(found, curves, accounts), request)


def _joined(parts: Sequence[Curves]) -> Curves | None:
    """Return batches as one, shorter rows continued by their last values."""
    if not parts:
        return None
    width = max(part.energy.shape[1] for part in parts)

    def joined(name: str) -> Tensor:
        tensors = [getattr(part, name) for part in parts]
        return torch.cat([widen(each, width) for each in tensors])

    accounts = tuple(account for part in parts for account in part.accounts)
    return Curves(accounts, **{name: joined(name) for name in _WIDTHWISE})


def _as_curves(found: Merged, curves: Curves, accounts: Sequence[Account]) -> Curves:
    codes = found.reason.tolist()
    used = [a for a, code in zip(curves.accounts, codes, strict=True) if code == USED]
    left_out = [
        (account, account.problem.code) for account in accounts if account.problem
    ]
    left_out += [
        (account, REASONS[code])
        for account, code in zip(curves.accounts, codes, strict=True)
        if code != USED
    ]
    signal = replace(used[0].signal, scan=f"{len(used)} merged")
    account = Account(signal)
    account.done = {
        "merged": [_named(each) for each in used],
        "rejected": [_named(each) | {"reason": why} for each, why in left_out],
        "chi2": float(found.chi2),
        "chi2_of_noise": float(found.chi2_of_noise),
    }
    if left_out:
        shown = ", ".join(f"{_short(each)} ({why})" for each, why in left_out[:_NAMED])
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        text = f"{len(left_out)} of {len(accounts)} scans left out: {shown}{more}"
        account.flag("rejected", text)
    if (chi2 := account.done["chi2_of_noise"]) > _UNLIKE:
        text = f"the scans are {chi2**0.5:.1f} times as far apart as their noise says"
        account.flag("unlike", f"{text}: of one sample?")
    energy, mu = found.energy.unsqueeze(0), found.mu.unsqueeze(0)
    without = torch.full_like(mu, torch.nan)
    return Curves(
        (account,),
        energy,
        mu,
        torch.ones_like(mu, dtype=torch.bool),
        i0=without,
        reference=without,
        transmission=without,
        noise=found.noise.unsqueeze(0),
    )


def _named(account: Account) -> dict[str, str | None]:
    return {"file": str(account.signal.file), "scan": account.signal.scan or None}


def _short(account: Account) -> str:
    signal = account.signal
    return f"{signal.file.name} {signal.scan}".strip()
