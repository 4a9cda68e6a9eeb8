import hashlib
import json
import shutil

import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.shipped import shipped_folder

NAME = "pt-l3-xanes"
SHIPPED = shipped_folder("models") / NAME


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "copied"
    shutil.copytree(SHIPPED, folder)
    return folder


def test_the_list_says_for_what_a_model_is_good(capsys):
    assert main(["models", "list"]) == 0
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith(NAME)
    ]
    sha256 = hashlib.sha256((SHIPPED / "manifest.json").read_bytes()).hexdigest()
    row = next(
        row
        for row in json.loads((SHIPPED / "manifest.json").read_text())["metrics"]
        if (row["condition"], row["shapes"]) == ("N1", "all")
    )
    assert "Pt L3  cn1 cn2 cn3 cn4 r1" in line
    assert f"cn1 {row['mae']['cn1']:.2g}" in line
    assert line.endswith(sha256[:12])


def test_a_model_shows_purpose_domain_metrics_and_limits(capsys):
    assert main(["models", "show", NAME]) == 0
    page = capsys.readouterr().out
    assert "Coordination numbers of the first shells" in page
    assert "  cn1    0 to 13" in page
    assert "icosahedral, particles: 1" in page
    assert "no adsorbates, oxide" in page
    assert "|" not in page, "no table of Markdown on a terminal"


def test_json_is_the_manifest(capsys):
    for command in (["models", "show", NAME, "--json"], ["models", "list", "--json"]):
        assert main(command) == 0
        manifests = map(json.loads, capsys.readouterr().out.splitlines())
        assert json.loads((SHIPPED / "manifest.json").read_text()) in manifests


def test_every_file_of_a_whole_model_is_ok(model, capsys):
    assert main(["models", "verify", str(model)]) == 0
    states = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert states == ["ok"] * len(
        json.loads((model / "manifest.json").read_text())["files"]
    )


def test_a_changed_and_a_missing_file_are_named_and_the_others_are_ok(model, capsys):
    (model / "ensemble.safetensors").write_bytes(b"other weights")
    (model / "card.md").unlink()

    assert main(["models", "verify", str(model)]) == 2

    written = capsys.readouterr()
    states = dict(reversed(line.split()) for line in written.out.splitlines()[1:])
    assert states["ensemble.safetensors"] == "WRONG"
    assert states["card.md"] == "MISSING"
    assert states["recipe.yaml"] == "ok"
    (sentence,) = written.err.splitlines()
    assert "ensemble.safetensors" in sentence
    assert "restore" in sentence


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"schema": "other"}', None]
)
def test_what_is_no_manifest_is_one_sentence(model, capsys, text):
    if text is None:
        manifest = json.loads((model / "manifest.json").read_text())
        del manifest["domain"]
        text = json.dumps(manifest)
    (model / "manifest.json").write_text(text)
    for action in ("show", "verify"):
        assert main(["models", action, str(model)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "manifest.json" in line


@pytest.mark.parametrize(
    ("action", "part", "instead"),
    [
        ("show", "domain", {}),
        ("show", "metrics", [{}]),
        ("show", "descriptors", 5),
        ("show", "units", []),
        ("verify", "files", ["card.md"]),
    ],
)
def test_a_manifest_with_a_damaged_part_is_one_sentence(
    model, capsys, action, part, instead
):
    manifest = json.loads((model / "manifest.json").read_text()) | {part: instead}
    (model / "manifest.json").write_text(json.dumps(manifest))
    assert main(["models", action, str(model)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "manifest.json is damaged" in line


def test_a_card_that_is_no_text_is_one_sentence(model, capsys):
    (model / "card.md").write_bytes(b"\xff\xfe\xff")
    assert main(["models", "show", str(model)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "card.md cannot be read" in line


def test_a_name_nobody_ships_lists_what_is(capsys):
    assert main(["models", "show", "fe-k"]) == 2
    error = capsys.readouterr().err
    assert "shipped: " in error
    assert NAME in error
