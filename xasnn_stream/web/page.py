"""The page: the latest estimates as one table, rendered here, without scripts."""

import time
from collections.abc import Sequence
from html import escape
from typing import Any

from xasnn_stream.results import Delivery

REFRESH_S = 2

_STYLE = """
:root { color-scheme: light dark; }
body { font: 14px/1.4 system-ui, sans-serif; margin: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2rem .5rem; border-bottom: 1px solid #8884; }
td { font-variant-numeric: tabular-nums; vertical-align: top; }
tr.outside td, tr.rejected td { opacity: .55; }
"""


def render(deliveries: Sequence[Delivery], waits_for: Sequence[str]) -> str:
    """Return the page as HTML: readiness, then results, newest first."""
    state = "ready" if not waits_for else "not ready: " + "; ".join(waits_for)
    names = list(dict.fromkeys(n for d in deliveries for n in _descriptors(d)))
    heads = ["#", "measured", "scan", "sample", "verdict", *names, "latency"]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta http-equiv='refresh' content='{REFRESH_S}'>"
        f"<title>xasnn-stream</title><style>{_STYLE}</style></head><body>"
        f"<h1>Estimates</h1><p>{escape(state)}</p><table><thead><tr>"
        + "".join(f"<th>{escape(head)}</th>" for head in heads)
        + "</tr></thead><tbody>"
        + "".join(_row(delivery, names) for delivery in deliveries)
        + "</tbody></table></body></html>"
    )


def _row(delivery: Delivery, names: Sequence[str]) -> str:
    estimate = delivery.estimate
    run = estimate["run"]
    measured = time.strftime("%H:%M:%S", time.localtime(estimate["time"]["end"] or 0))
    scan = f"{run['scan_id'] if run['scan_id'] is not None else run['uid'][:8]}"
    cells = [
        str(delivery.seq),
        measured,
        scan if run["sweep"] == 0 else f"{scan} / {run['sweep']}",
        estimate["sample"] or "",
        _verdict(estimate),
        *(_value(_descriptors(delivery).get(name)) for name in names),
        f"{1000 * delivery.latency_s:.0f} ms",
    ]
    inner = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr class='{escape(estimate['verdict'])}'>{inner}</tr>"


def _descriptors(delivery: Delivery) -> dict[str, Any]:
    return delivery.estimate["descriptors"]


def _value(descriptor: dict[str, Any] | None) -> str:
    if descriptor is None or descriptor["value"] is None:
        return "–"
    if descriptor["interval"] is None:
        return f"{descriptor['value']:.2f}"
    low, high = descriptor["interval"]
    digits = 3 if descriptor["unit"] == "angstrom" else 1
    value, low, high = (f"{x:.{digits}f}" for x in (descriptor["value"], low, high))
    return f"{value} ({low}–{high})"


def _verdict(estimate: dict[str, Any]) -> str:
    reasons = "; ".join(reason["text"] for reason in estimate["reasons"])
    return f"{estimate['verdict']}: {reasons}" if reasons else estimate["verdict"]
