"""An estimate as one line of text."""

from collections.abc import Mapping
from typing import Any

from xasnn_stream.wording import with_interval


def descriptors_text(estimate: Mapping[str, Any]) -> str:
    """Return `cn1 9.7 (9.1–10.3)  r1 2.775` and so on of a document `xasnn.estimate/1`.

    In brackets the interval, where there is one.
    """
    return "  ".join(
        f"{name} {with_interval(descriptor)}"
        for name, descriptor in estimate["descriptors"].items()
    )


def scan_text(run: Mapping[str, Any]) -> str:
    """Return the scan id, or the beginning of the uid; with the sweep unless first."""
    name = str(run["scan_id"] if run["scan_id"] is not None else run["uid"][:8])
    return f"{name}/{run['sweep']}" if run["sweep"] else name


def remarks_text(estimate: Mapping[str, Any]) -> str:
    """Return what there is to say besides numbers: missing rows, reasons."""
    remarks = [reason["text"] for reason in estimate["reasons"]]
    run = estimate["run"]
    if run["final"] and not run["complete"]:
        remarks.insert(0, f"incomplete, {estimate['accounting']['n_missed']} missing")
    return "; ".join(remarks)
