"""`xasnn-stream models`: which models there are, what they promise, are they whole."""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xasnn_stream.errors import ModelError
from xasnn_stream.manifest import (
    CARD,
    MANIFEST,
    Manifest,
    read_manifest,
    read_parts,
    reading,
)
from xasnn_stream.shipped import model_folder, model_folders

SPLIT, CONDITION, LEVEL = "held-out", "N1", "0.9"
"""Which of the metrics are shown: particles never seen, under the nuisances of a beamline,
at the published level."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "models",
        help="which models there are, and whether they are whole",
        description="MODEL is a shipped name or a folder. An invalid one: exit code 2.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="one line per shipped model")
    listing.add_argument("--json", action="store_true", help="manifests as JSON lines")
    listing.set_defaults(run=list_models)
    showing = actions.add_parser("show", help="purpose, domain, metrics and limits")
    showing.add_argument("model", metavar="NAME")
    showing.add_argument("--json", action="store_true", help="the manifest")
    showing.set_defaults(run=show)
    verifying = actions.add_parser("verify", help="compare every file with its hash")
    verifying.add_argument("model", metavar="NAME", nargs="?", help="default: all")
    verifying.set_defaults(run=verify)


def list_models(arguments: argparse.Namespace) -> int:
    """Print a line per shipped model."""
    for folder in model_folders():
        with reading(folder / MANIFEST):
            if arguments.json:
                print(json.dumps(read_manifest(folder).document))
                continue
            for manifest in read_parts(folder):
                print(_line(manifest))
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print what a user of the model must know."""
    manifest = read_manifest(model_folder(arguments.model))
    if arguments.json:
        print(json.dumps(manifest.document))
    else:
        with reading(manifest.folder / MANIFEST):
            card = _card(manifest.folder)
            page = "\n".join(_page(read_parts(manifest.folder), card))
        print(page)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Print a line per file; ModelError if one is not what the manifest says."""
    named = arguments.model
    wrong: list[str] = []
    for folder in [model_folder(named)] if named else model_folders():
        manifest = read_manifest(folder)
        print(f"{manifest.name}  sha256 {manifest.sha256}")
        for name, expected in manifest.files.items():
            state = _state(folder / name, expected)
            print(f"  {state:<7}  {name}")
            if state != "ok":
                wrong.append(str(folder / name))
    sys.stdout.flush()
    if wrong:
        raise ModelError(
            f"{', '.join(wrong)}: not what the manifest says; restore the files or "
            "train again"
        )
    return 0


def _state(path: Path, expected: str) -> str:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "MISSING"
    return "ok" if found == expected else "WRONG"


def _line(manifest: Manifest) -> str:
    names = " ".join(manifest.descriptors)
    title = f"{manifest.name}  {manifest.element} {manifest.edge}  {names}"
    rows = [row for row in _metrics(manifest) if row["shapes"] == "all"]
    held_out = "no held-out metrics"
    if rows:
        errors = rows[0]["mae"]
        coverage = rows[0]["coverage"][LEVEL].values()
        held_out = (
            "held-out MAE "
            + ", ".join(f"{name} {error:.2g}" for name, error in errors.items())
            + f"; 90 % intervals cover {min(coverage):.0%} to {max(coverage):.0%}"
        )
    return f"{title}  {held_out}  {manifest.sha256[:12]}"


def _metrics(manifest: Manifest) -> list[dict[str, Any]]:
    rows = manifest.document.get("metrics") or []
    return [
        row for row in rows if (row["split"], row["condition"]) == (SPLIT, CONDITION)
    ]


def _page(parts: Sequence[Manifest], card: dict[str, str]) -> Iterator[str]:
    first = parts[0]
    edges = (f"{manifest.element} {manifest.edge}" for manifest in parts)
    yield f"{first.name}  {', '.join(edges)}"
    yield f"sha256 {first.sha256}"
    yield ""
    yield from card.get("", "").splitlines()
    for manifest in parts:
        yield from _promises(manifest)
    if limits := card.get("Limits"):
        yield ""
        yield "Limits"
        yield from limits.splitlines()


def _promises(manifest: Manifest) -> Iterator[str]:
    """Say what is believed of one edge, and how far."""
    of = f", {manifest.element} {manifest.edge}" if manifest.part else ""
    yield ""
    yield f"Domain{of} (beyond it the verdict is never ok)"
    for name in manifest.descriptors:
        low, high = manifest.domain[name]
        yield f"  {name:<6} {low:g} to {high:g} {manifest.units[name]}".rstrip()
    if rows := _metrics(manifest):
        yield ""
        yield (
            f"Held-out particles{of}, nuisance set {CONDITION}: MAE (ridge regression), "
            "how often the 90 % interval covers, its median width"
        )
        yield from _table(rows, manifest.descriptors)


def _table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> Iterator[str]:
    for row in rows:
        yield f"  {row['shapes']}, particles: {row['n_particles']}"
        for name in names:
            yield (
                f"    {name:<6} {row['mae'][name]:.3f} "
                f"({row['baseline']['ridge']['mae'][name]:.3f})  "
                f"{row['coverage'][LEVEL][name]:4.0%}  {row['width90'][name]:.2f}"
            )


def _card(folder: Path) -> dict[str, str]:
    """Return the sections of the model's card by title, the opening under ''."""
    path = folder / CARD
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    opening, *sections = text.split("\n## ")
    titled = dict(section.split("\n", 1) for section in sections if "\n" in section)
    titled[""] = opening.partition("\n")[2]
    return {title: body.strip() for title, body in titled.items()}
