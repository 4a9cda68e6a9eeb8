"""What measured spectra say of the shipped models: every bar that needs no theory.

Run by hand on the folder of measured data; a JSON line per case, then a table of bars:

    python -m tests.bench.measured ../shared/xas-data [--model NAME_OR_FOLDER]

Every file goes the way of `analyze`. Foils are read with another laboratory's foil;
mixtures are of normalized μ, with the edge of their metal put where the foil's is.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

from tests.bench.measured_curves import (
    Curve,
    dispersive,
    mixed,
    normalized,
    shifted,
    stepped,
    write,
)
from tests.bench.measured_files import (
    BEHIND,
    DISPERSIVE,
    LOADS,
    METALS,
    Metal,
    one_of_each,
)
from xasnn_stream.analysis.analyze import Failure, Request, Result, analyze
from xasnn_stream.analysis.shipped_models import shipped_models
from xasnn_stream.manifest import read_manifest
from xasnn_stream.shipped import model_folder

COLD = ("20K", "150K")
SHARES = tuple(round(0.1 * i, 1) for i in range(11))
TRACES = (0.05, 0.1, 0.2, 0.3, 0.5)
PLAIN = 0.2
"""Share of a compound that may never pass as `ok`."""
BULK = {"cn1": 12.0, "cn2": 6.0, "cn3": 24.0, "cn4": 12.0}
FOIL_AMPLITUDE = 0.80
"""First-shell amplitude of Pt foils in the EXAFS fits: that of 12 neighbours."""

Line = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """A model with the spectra of its element; `made` is a folder for mixtures."""

    model: str
    metal: Metal
    spectra: Path
    made: Path
    lines: list[Line]
    passed_as_ok: list[Line] = field(default_factory=list)

    def path(self, name: str) -> str:
        made = self.made / name
        return str(made if made.is_file() else self.spectra / name)

    def estimates(
        self, files: Sequence[Path], foil: str, columns: Mapping[str, str] | None = None
    ) -> list[Line]:
        """Return what `analyze` says of files of one scan each."""
        request = Request(
            files=tuple(files),
            foils=(self.path(foil),),
            model=self.model,
            columns=columns,
        )
        lines = [said(found) for found in analyze(request)]
        self.passed_as_ok.extend(line for line in lines if line["verdict"] == "ok")
        return lines

    def curves(self, names: Sequence[str]) -> list[Curve]:
        """Return normalized curves of files of this edge."""
        paths = [self.path(name) for name in names]
        return normalized(paths, self.metal.element, self.metal.edge)

    def of(self, curves: Sequence[Curve], foil: str) -> list[Line]:
        """Return what `analyze` says of curves that were made."""
        of = self.metal
        files = [
            write(self.made / f"{i}.csv", curve, of.element, of.edge)
            for i, curve in enumerate(curves)
        ]
        return self.estimates(files, foil)

    def say(self, bar: str, case: str, passed: bool, **more: Any) -> None:
        """Print a case."""
        name = Path(self.model).name
        line = {"model": name, "bar": bar, "case": case, "pass": bool(passed)}
        self.lines.append(line)
        print(json.dumps(line | more), flush=True)


def said(found: Result | Failure) -> Line:
    """Return verdict, reasons and coordination numbers with their intervals."""
    if isinstance(found, Failure):
        return {"verdict": "no model", "reasons": [found.text], "cn": {}}
    estimate = found.estimate
    numbers = {
        name: (round(d.value, 2), *(round(end, 2) for end in d.interval or ()))
        for name, d in estimate.descriptors.items()
        if name in BULK
    }
    reasons = [reason.code for reason in estimate.reasons]
    score = estimate.novelty.score
    return {
        "verdict": estimate.verdict,
        "reasons": reasons,
        "cn": numbers,
        "novelty": None if score is None else round(score, 2),
    }


def of_line(line: Line, name: str) -> tuple[float, float, float]:
    """Return value, low and high end, NaN where a spectrum was rejected."""
    return line["cn"].get(name, (nan, nan, nan))


def cn1(line: Line) -> float:
    return of_line(line, "cn1")[0]


def width(line: Line) -> float:
    _, low, high = of_line(line, "cn1")
    return high - low


def covers(line: Line, value: float, name: str = "cn1") -> bool:
    _, low, high = of_line(line, name)
    return low <= value <= high


def foils(bench: Bench) -> None:
    """Every foil against every foil of another laboratory."""
    for laboratory, samples in bench.metal.foils.items():
        others = [
            foil
            for other, theirs in bench.metal.foils.items()
            for foil in theirs
            if other != laboratory
        ]
        for sample in samples:
            file, _, is_reference = sample.partition("#")
            columns = BEHIND if is_reference else None
            for foil in others:
                (found,) = bench.estimates([Path(bench.path(file))], foil, columns)
                case = f"{sample} - {foil}"
                near = abs(cn1(found) - 12) <= 1
                bench.say("foil within 1.0 of 12", case, near, **found)
                bench.say("foil's interval holds 12", case, covers(found, 12))
                narrow = width(found) <= 2.5
                bench.say("foil's width <= 2.5", case, narrow, width=width(found))
                bench.say(
                    "no metal outside", case, found["verdict"] in ("ok", "caution")
                )


def particles(bench: Bench, data: Path) -> None:
    """Particles as measured, beside EXAFS."""
    if not bench.metal.particles:
        return
    fits = json.loads((data / "reference" / "feffit_nanoparticles.json").read_text())
    truth = {
        f"{fit['id']}.csv": 12 * fit["amp"] / FOIL_AMPLITUDE for fit in fits["fits"]
    }
    files = [bench.spectra / name for name in bench.metal.particles]
    for foil in one_of_each(bench.metal):
        found = dict(
            zip(bench.metal.particles, bench.estimates(files, foil), strict=True)
        )
        for name, line in found.items():
            case = f"{name} - {foil}"
            good = line["verdict"] in ("ok", "caution")
            bench.say("no metal outside", case, good, **line)
            if any(f"_{kelvin}." in name for kelvin in COLD):
                gap = cn1(line) - truth[name]
                bench.say(
                    "cold Pt/C within 1.0 of EXAFS",
                    case,
                    abs(gap) <= 1,
                    gap=round(gap, 2),
                )
        value = {name: cn1(line) for name, line in found.items()}
        for load in LOADS:
            apart = value[f"PtNP_{load}_20K.csv"] - value[f"PtNP_{load}_150K.csv"]
            case = f"{load}, 20 K less 150 K - {foil}"
            bench.say(
                "20 and 150 K within 0.4",
                case,
                abs(apart) <= 0.4,
                apart=round(apart, 2),
            )
        for kelvin in COLD:
            more = value[f"PtNP_20wt_{kelvin}.csv"] - value[f"PtNP_10wt_{kelvin}.csv"]
            case = f"{kelvin} - {foil}"
            bench.say("20 wt% >= 10 wt%", case, more >= 0, more=round(more, 2))


def mixing(bench: Bench) -> None:
    """w·particle + (1-w)·foil: coordination numbers are linear in w."""
    for foil in one_of_each(bench.metal):
        for other in one_of_each(bench.metal):
            for name in bench.metal.particles:
                theirs, particle, bulk = bench.curves([foil, name, other])
                at = theirs.position
                particle, bulk = particle.moved(at), bulk.moved(at)
                found = bench.of([mixed(particle, bulk, w) for w in SHARES], foil)
                case = f"{name} + {other} - {foil}"
                off = {n: from_line([of_line(f, n)[0] for f in found]) for n in BULK}
                values = [cn1(f) for f in found]
                fall = [b - a for a, b in pairwise(values)]
                bench.say(
                    "mixing within 0.4 of linear", case, off["cn1"] <= 0.4,
                    off=off, cn1=values, verdicts=[f["verdict"] for f in found],
                )  # fmt: skip
                bench.say("mixing monotonic", case, max(fall) <= 0)


def from_line(values: Sequence[float]) -> float:
    """Return how far values at `SHARES` are from the line between their ends."""
    first, last = values[0], values[-1]
    line = [first + w * (last - first) for w in SHARES]
    return round(max(abs(v - at) for v, at in zip(values, line, strict=True)), 2)


CHANGES: dict[str, Callable[[Curve], Curve]] = {
    "as it is": lambda curve: curve,
    "+0.3 eV": lambda curve: shifted(curve, 0.3),
    "-0.3 eV": lambda curve: shifted(curve, -0.3),
    "step +0.5 %": lambda curve: stepped(curve, -0.005),
    "step -0.5 %": lambda curve: stepped(curve, 0.005),
}


def sensitivity(bench: Bench) -> None:
    """A shift and a wrong step of the sample alone."""
    for foil in one_of_each(bench.metal):
        samples = (
            *bench.metal.particles,
            *(other for other in one_of_each(bench.metal) if other != foil),
        )
        for name in samples:
            theirs, mine = bench.curves([foil, name])
            mine = mine.moved(theirs.position)
            still, *found = bench.of(
                [change(mine) for change in CHANGES.values()], foil
            )
            for what, line in zip(list(CHANGES)[1:], found, strict=True):
                moved = cn1(line) - cn1(still)
                small = abs(moved) <= width(still) / 2
                case = f"{name} {what} - {foil}"
                bench.say("moved <= half its width", case, small, moved=round(moved, 2))


def traces(bench: Bench) -> None:
    """A compound in metal: seen, or covered by the interval."""
    for foil in one_of_each(bench.metal):
        metals = (
            *bench.metal.particles,
            *(other for other in one_of_each(bench.metal) if other != foil),
        )
        for name in metals:
            for compound in bench.metal.compounds:
                # The foil behind the compound calibrates its axis: its shift stays.
                names = [foil, name, compound, f"{compound}#mu_ref"]
                theirs, metal, salt, behind = bench.curves(names)
                at = theirs.position
                metal = metal.moved(at)
                salt = salt.moved(at + salt.position - behind.position)
                curves = [mixed(metal, salt, 1 - share) for share in (0.0, *TRACES)]
                pure, *found = bench.of(curves, foil)
                for share, line in zip(TRACES, found, strict=True):
                    trace(
                        bench,
                        f"{share:.0%} {compound} in {name} - {foil}",
                        share,
                        pure,
                        line,
                    )


def trace(bench: Bench, case: str, share: float, pure: Line, line: Line) -> None:
    doubted = line["verdict"] != "ok"
    if share >= PLAIN:
        bench.say(">= 20 % of a compound never ok", case, doubted, **line)
        return
    covered = [n for n in BULK if covers(line, of_line(pure, n)[0], n)]
    good = doubted or "cn1" in covered
    bench.say("5, 10 % covered or doubted", case, good, covered=covered, **line)


def others(bench: Bench) -> None:
    """Spectra of other elements, as they are and called this one."""
    of = bench.metal
    foil = bench.path(one_of_each(of)[0])
    files = tuple(
        path
        for path in sorted(bench.spectra.glob("*.csv*"))
        if f"element: {of.element}\n" not in path.open(errors="replace").read(400)
    )
    for told in ((None, None), (of.element, of.edge)):
        request = Request(files, (foil,), bench.model, element=told[0], edge=told[1])
        for found in analyze(request):
            line = said(found)
            case = found.file.name + (f" called {of.element}" if told[0] else "")
            good = line["verdict"] in ("no model", "rejected", "outside")
            bench.say("other elements never ok", case, good, **line)


def believable(bench: Bench) -> None:
    """No value that no metal has passes as `ok`, of all that was read here."""
    beyond = [
        line["cn"]
        for line in bench.passed_as_ok
        for name, bulk in BULK.items()
        if not 0 <= of_line(line, name)[0] <= bulk + 1
    ]
    case = f"{len(bench.passed_as_ok)} estimates"
    bench.say("ok only from 0 to bulk + 1", case, not beyond, beyond=beyond)


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield one line per model and bar: how many cases pass."""
    bars: dict[tuple[str, str], list[bool]] = {}
    for line in lines:
        bars.setdefault((line["model"], line["bar"]), []).append(line["pass"])
    yield "| model | bar | cases | passed | |"
    yield "|---|---|---|---|---|"
    for (model, bar), passed in bars.items():
        mark = "pass" if all(passed) else "FAIL"
        yield f"| {model} | {bar} | {len(passed)} | {sum(passed)} | {mark} |"


def run(data: Path, wanted: str | None) -> list[Line]:
    """Run every bar on every shipped model, or on the one that is wanted."""
    lines: list[Line] = []
    models = [read_manifest(model_folder(wanted))] if wanted else shipped_models()
    for model in models:
        metal = METALS.get(model.element)
        if metal is None or model.edge != metal.edge:
            continue
        with tempfile.TemporaryDirectory(prefix="xasnn-bench-") as made:
            bench = Bench(str(model.folder), metal, data / "spectra", Path(made), lines)
            if metal.element == "Pd":
                series = dispersive(data / "operando" / "PdZnO_PF_frames.h5")
                write(bench.made / DISPERSIVE, series, metal.element, metal.edge)
            foils(bench)
            particles(bench, data)
            mixing(bench)
            sensitivity(bench)
            traces(bench)
            others(bench)
            believable(bench)
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model")
    given = parser.parse_args()
    print("\n".join(table(run(given.data, given.model))))
