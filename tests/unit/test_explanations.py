"""What the pages explain is what code and model say: reasons, messages, numbers."""

import ast
import hashlib
import json
import pickle
import re
from pathlib import Path

import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.engine import evidence, intake, unfinished, verdict
from xasnn_stream.estimate import ALGORITHM, estimate_id
from xasnn_stream.physics.noise import points as noise
from xasnn_stream.physics.normalization import ranges
from xasnn_stream.profile import load_profile
from xasnn_stream.shipped import model_folder
from xasnn_stream.sources.codec import FrameError, decode_document
from xasnn_stream.spectrum import Run
from xasnn_stream.training.novelty_families import read_amplitudes
from xasnn_stream.training.recipe import read_recipe
from xasnn_stream.uncertainty.novelty import TESTS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "xasnn_stream"
PAGE = ROOT / "docs" / "how-an-estimate-is-made.md"
BEAMLINE = ROOT / "docs" / "first-hour-at-a-beamline.md"
CODE = re.compile(r"`([a-z][a-z0-9_]+)`")
FORMED = {"_not_positive": {"i0_not_positive", "it_not_positive"}}
"""Codes whose beginning is the name of a channel."""


def codes_in(source: Path) -> set[str]:
    """Return the codes of all reasons a module makes."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if not isinstance(node, ast.Call):
            continue
        code = {k.arg: k.value for k in node.keywords}.get("code")
        if isinstance(node.func, ast.Name) and node.func.id == "Reason":
            code = code or node.args[0]
        if isinstance(code, ast.Constant):
            found.add(code.value)
        elif isinstance(code, ast.JoinedStr):
            found |= FORMED[code.values[-1].value]
        elif code is not None:
            assert source.name == "verdict.py", f"{source} forms a code unknown here"
            found |= {code for code, _ in verdict._NOVEL.values()}
    return found


def strings_in(source: Path) -> list[str]:
    """Return the texts of a module, with … where a value goes."""
    texts: list[str] = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [getattr(part, "value", None) for part in node.values]
            texts.append("…".join(p for p in parts if isinstance(p, str)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


def codes_shown(page: str) -> list[str]:
    """Return the codes in the first cells of tables headed by code or reason."""
    codes: list[str] = []
    for table in re.findall(r"\n\| (?:code|reason) \|.*\n\|[-|]+\n((?:\|.*\n)+)", page):
        for row in table.splitlines():
            codes += CODE.findall(row.split("|")[1])
    return codes


SOURCES = [
    source
    for source in PACKAGE.rglob("*.py")
    if source.parent.name not in ("reduction", "bimetallic")
]
"""`normalize` and alloys have pages of their own."""
CODES = set().union(*(codes_in(source) for source in SOURCES))


def test_every_reason_is_explained_and_no_other():
    assert len(CODES) > 20
    assert set(codes_shown(PAGE.read_text())) == CODES


def test_reasons_stand_under_their_verdict():
    page = PAGE.read_text()
    rejected, outside, caution = (
        set(codes_shown(part)) for part in re.split(r"\n\*\*[a-z]+\*\*:", page)[1:]
    )
    novel = {code for code, _ in verdict._NOVEL.values()}
    judged = codes_in(PACKAGE / "engine" / "verdict.py")
    assert rejected == CODES - judged
    assert outside & caution == novel
    assert outside | caution == judged


def test_limits_explained_are_those_of_code_and_profile():
    page = re.sub(r"\s+", " ", PAGE.read_text())
    quality = load_profile("sim-step").engine.quality
    for text in (
        f"fewer than {quality.min_points} different energies",
        f"less than {quality.min_pre_edge_ev:g} eV before, "
        f"{quality.min_post_edge_ev:g} eV after the edge",
        f"half of its step more than {quality.max_e0_shift_ev:g} eV from",
        f"searched within {quality.max_e0_shift_ev:g} eV of the tabulated edge",
        f"{ranges.NEXT_EDGE_MARGIN_EV:g} eV before the next edge",
        f"edge step below {quality.min_edge_step:g}",
        f"above {100 * quality.max_noise:g} % of the edge step",
        f"energies more than {intake._MAX_RANGE_EV:g} eV from the edge",
        f"Until {unfinished.LEAST_POST_EDGE_EV:g} eV of the post-edge range are",
        f"less than {unfinished.LEAST_POST_EDGE_EV:g} eV of the post-edge range were",
        f"axis is more than {verdict.MAX_EDGE_SHIFT_EV:g} eV from the foil's",
        f"more than {evidence._MAX_SPACING_EV:g} eV without a point",
        f"more than {noise._OUTLIER_SIGMA:g} σ and {100 * noise._OUTLIER_STEP:g} % of "
        f"the step ({100 * noise._OUTLIER_AT_EDGE:g} % within {noise._EDGE_EV:g} eV",
    ):
        assert text in page


def test_reasons_named_at_the_beamline_exist():
    named = codes_shown(BEAMLINE.read_text())
    assert len(named) > 10
    assert set(named) <= CODES


def test_messages_quoted_at_the_beamline_are_said():
    said = "\n".join(t for s in PACKAGE.rglob("*.py") for t in strings_in(s))
    page = re.sub(r"\s+", " ", BEAMLINE.read_text())
    emphasized = re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", page)
    quoted = [text for text in emphasized if " " in text]
    assert len(quoted) > 8
    unsaid = [
        part
        for message in quoted
        for part in map(str.strip, re.split(r"…|'[a-z]+'", message))
        if len(part) > 3 and part not in said
    ]
    assert unsaid == []


def test_the_refusal_of_pickle_is_the_one_shown():
    with pytest.raises(FrameError) as refused:
        decode_document(pickle.dumps({"uid": "a"}))
    assert str(refused.value) in re.sub(r"\s+", " ", BEAMLINE.read_text())


@pytest.fixture(scope="module")
def manifest():
    path = model_folder("pt-l3-xanes") / "manifest.json"
    if not path.exists():
        pytest.skip("the model pt-l3-xanes is not trained in this checkout")
    return json.loads(path.read_text())


def row(label: str) -> list[str]:
    """Return the cells of the page's table row that begins with a label."""
    (line,) = re.findall(rf"^\| {re.escape(label)} \|.*$", PAGE.read_text(), re.M)
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_quantiles_and_limits_are_the_model_s(manifest):
    quantiles = manifest["calibration"]["quantiles"]["0.9"]
    assert row("q at 90 %") == [f"{q:.2f}" for q in quantiles.values()]
    page = PAGE.read_text().replace("\n", " ")
    assert f"The {manifest['calibration']['particles']} training particles" in page
    for name, (low, high) in manifest["domain"].items():
        assert f"{name} {low:g} to {high:g}" in page


def test_training_is_the_recipe_s():
    recipe = read_recipe(model_folder("pt-l3-xanes") / "recipe.yaml")
    drawn, fit = recipe.nuisances, recipe.fit
    assert row("stretch of energies")[0] == "{:.2f} to {:.2f}".format(*drawn.stretch)
    broadening = "{:g} to {:g} eV".format(*drawn.broadening)
    assert row("Gaussian broadening, FWHM")[0] == broadening
    amplitude = "{:g} to {:g}".format(*drawn.amplitude)
    assert row("amplitude of the difference")[0] == amplitude
    assert row("energy shift")[0] == f"±{drawn.shift[1]:g} eV"
    assert row("edge step")[0] == f"±{100 * drawn.edge_step[1]:g} %"
    damping = "{:g} to {:g} Å²".format(*drawn.delta_sigma2)
    assert row("thermal damping Δσ²")[0] == damping
    page = re.sub(r"\s+", " ", PAGE.read_text())
    assert f"on {fit.pool:,} differences".replace(",", " ") in page
    assert f"({fit.depth} layers of {fit.hidden})" in page
    assert f"drawn {recipe.calibration.draws} times per lattice scale" in page


def test_coverage_is_the_card_s(manifest):
    metrics = {
        (m["condition"], m["shapes"]): m
        for m in manifest["metrics"]
        if m["split"] == "held-out"
    }
    every, ico = metrics["N1", "all"], metrics["N1", "icosahedral"]
    page = PAGE.read_text().replace("\n", " ")
    for name, share in every["coverage"]["0.9"].items():
        assert re.search(rf"{share:.0%} for {name}".replace("%", " ?%"), page)
    assert f"covered in {100 * ico['coverage']['0.9']['cn4']:.0f} %" in page


def test_every_test_of_novelty_and_every_flaw_is_explained():
    for test in TESTS:
        code, _ = verdict._NOVEL[test]
        assert row(f"**{test.replace('_', ' ')}**")[-1] == f"`{code}`"
    for family, amplitude in read_amplitudes().items():
        assert row(f"*{family.replace('_', ' ')}*")[0].startswith(f"{amplitude:g} ")


def test_the_parts_of_the_example_are_what_comes_out(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    examples = "docs/examples"
    foil = ("--foil", f"{examples}/foil.dat")
    assert main(["analyze", f"{examples}/particles.xdi", *foil, "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    for name in ("cn1", "cn3"):
        found = estimate["descriptors"][name]
        *parts, interval, _ = row(name)
        names = ("value", "std_model", "std_noise", "std_ambiguity")
        wanted = [found[part] for part in names] + found["interval"]
        shown = [*parts, *interval.split(" to ")]
        # The last digit may differ where another processor rounds otherwise.
        assert [float(number) for number in shown] == pytest.approx(wanted, abs=0.011)


def test_the_id_is_over_what_the_page_lists():
    run = Run("uid", 1, 3, "up", 1.0, final=True, complete=True, source="file")
    values = {
        "run uid": run.uid,
        "sweep": run.sweep,
        "profile sha256": "p",
        "model sha256": "m",
        "foil sha256": "f",
        "complete": run.complete,
        "algorithm": ALGORITHM,
    }
    (listed,) = re.findall(r"\[(run uid, .*)\]", PAGE.read_text())
    key = [values[name] for name in listed.split(", ")]
    text = json.dumps(key, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert estimate_id(run, "p", "m", "f") == digest[:32]
