"""`xasnn-stream recalibrate`: new intervals from a few known samples."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xasnn_stream.engine.model import Model
    from xasnn_stream.training.recalibrate import Known

_LISTS = (".yaml", ".yml", ".json")
_COUNT = 100

_DESCRIPTION = """\
Write a new version of a model whose intervals hold on known samples: the same weights,
each interval wider or narrower by a factor per descriptor and level. SAMPLES is a
training library, whose complete particles are the samples, or a YAML or JSON list of
measured files with what is known of them:
[{file: pt-foil.xdi, foil: other-foil.xdi, cn1: 12}, ...]; sample: NAME groups repeats
of one sample. Three different samples are the least, 9 for 90 %, 19 for 95 %."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "recalibrate",
        help="new intervals from a few known samples",
        description=_DESCRIPTION,
    )
    parser.add_argument("model", metavar="MODEL", help="a shipped name or a folder")
    parser.add_argument("samples", metavar="SAMPLES", type=Path, nargs="+")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", required=True, help="folder to write"
    )
    parser.add_argument(
        "--count",
        type=int,
        default=_COUNT,
        metavar="N",
        help=f"spectra drawn of a library ({_COUNT})",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Recalibrate; print the new folder and its quantiles beside the old ones."""
    from xasnn_stream.engine.model import load_model
    from xasnn_stream.errors import UsageError
    from xasnn_stream.shipped import model_folder
    from xasnn_stream.training.new_version import write_version
    from xasnn_stream.training.recalibrate import joined, recalibrate

    if arguments.count < 1:
        raise UsageError("--count must be at least 1")
    folder = model_folder(arguments.model)
    model = load_model(folder)
    known = joined(
        [_known(model, folder, path, arguments.count) for path in arguments.samples]
    )
    found = recalibrate(model, known)
    named = [path.name for path in arguments.samples]
    write_version(folder, arguments.output, model, found, named)
    lines = [
        f"{arguments.output}: {found.n} spectra of {found.n_samples} known samples",
        "factor on the intervals, by level (not above the highest the samples support)",
    ]
    for name in model.descriptors:
        cells = [f"{level:.0%} × {of[name]:.2f}" for level, of in found.factors.items()]
        highest = found.highest.get(name)
        note = "no sample told" if highest is None else f"highest {highest:.0%}"
        lines.append(f"  {name:<10} {'  '.join(cells)}  ({note})")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _known(model: "Model", folder: Path, path: Path, count: int) -> "Known":
    if path.suffix.lower() in _LISTS and not path.is_dir():
        return _measured(model, folder, path)
    from xasnn_stream.library import read_library
    from xasnn_stream.manifest import RECIPE
    from xasnn_stream.training.recalibrate import known_from_library
    from xasnn_stream.training.recipe import read_recipe

    library = read_library(path, model.element, model.edge)
    recipe = read_recipe(folder / RECIPE)
    return known_from_library(model, recipe, library, count)


def _measured(model: "Model", folder: Path, path: Path) -> "Known":
    """Estimate measured files and put what is known of them beside."""
    from xasnn_stream.analysis.analyze import Request, Result, analyze
    from xasnn_stream.errors import UsageError
    from xasnn_stream.training.recalibrate import known_from_estimates

    estimates: list[Any] = []
    truths: list[dict[str, float]] = []
    owners: list[str] = []
    for entry in _entries(path, model.descriptors):
        file = path.parent / entry["file"]
        foil = entry.get("foil")
        request = Request(
            files=(file,),
            foils=(str(path.parent / foil),) if foil else (),
            model=str(folder),
        )
        for found in analyze(request):
            if not isinstance(found, Result):
                raise UsageError(f"{path}: {found.text}")
            if not found.estimate.descriptors:
                reasons = "; ".join(reason.text for reason in found.estimate.reasons)
                raise UsageError(f"{path}: {file} was rejected: {reasons}")
            estimates.append(found.estimate.descriptors)
            truths.append({n: entry[n] for n in model.descriptors if n in entry})
            owners.append(str(entry.get("sample", file)))
    return known_from_estimates(model, estimates, truths, tuple(owners))


def _entries(path: Path, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Read the list; UsageError naming every mistake in it."""
    import yaml

    from xasnn_stream.errors import UsageError

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path} must be a list of samples, [{{file: …, cn1: …}}, …]")
    mistakes: list[str] = []
    for k, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            mistakes.append(f"sample {k} is no mapping")
            continue
        mistakes += [
            f"sample {k}: {key} is none of file, foil, sample, {', '.join(names)}"
            for key in entry
            if key not in ("file", "foil", "sample", *names)
        ]
        known = [name for name in names if name in entry]
        mistakes += [
            f"sample {k}: {name} must be a number"
            for name in known
            if not isinstance(entry[name], int | float) or isinstance(entry[name], bool)
        ]
        if not isinstance(entry.get("file"), str):
            mistakes.append(f"sample {k} names no file")
        if not known:
            mistakes.append(f"sample {k} says nothing that is known")
    if mistakes:
        raise UsageError(f"{path}: " + "; ".join(mistakes))
    return entries
