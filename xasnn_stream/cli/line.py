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


def size_text(estimate: Mapping[str, Any]) -> str:
    """Return `1.5 nm (1.3–3.6)`, the diameter; `> 3.0 nm` without bound, "" if unknown."""
    size = estimate.get("size")
    if size is None:
        return ""
    low, high = size["diameter"]["interval"]
    if high is None:
        return f"> {low / 10:.1f} nm"
    return f"{size['diameter']['value'] / 10:.1f} nm ({low / 10:.1f}–{high / 10:.1f})"


def joint_text(joint: Mapping[str, Any]) -> list[str]:
    """Return the lines of a document `xasnn.bimetallic/1`: numbers, then their grounds."""
    edges = " and ".join(joint["edges"])
    lines = [f"{edges} together, {joint['verdict']}  {descriptors_text(joint)}"]
    if joint["composition"] is not None:
        given = _shares(joint["composition"])
        lines.append(f"    for a composition {given}: chi2 {joint['chi2']:.1f}")
    if joint["implied_composition"] is None:
        lines.append("    no unlike neighbours to tell a composition from")
    else:
        implied = _shares(joint["implied_composition"])
        std = joint["implied_composition_std"]
        lines.append(f"    by themselves the edges imply {implied} ± {std:.2f}")
    return lines + [f"    {reason['text']}" for reason in joint["reasons"]]


def _shares(composition: Mapping[str, float]) -> str:
    return "".join(f"{element}{share:.2f}" for element, share in composition.items())


def scan_text(run: Mapping[str, Any]) -> str:
    """Return the scan id, or the beginning of the uid; with the sweep unless first."""
    name = str(run["scan_id"] if run["scan_id"] is not None else run["uid"][:8])
    return f"{name}/{run['sweep']}" if run["sweep"] else name


def remarks_text(estimate: Mapping[str, Any]) -> str:
    """Return what there is to say besides numbers: missing rows, reasons."""
    remarks = [reason["text"] for reason in estimate["reasons"]]
    run = estimate["run"]
    if run["final"] and not run["complete"]:
        missed = estimate["accounting"]["n_missed"]
        remarks.insert(0, f"incomplete, {missed} missing" if missed else "incomplete")
    return "; ".join(remarks)
