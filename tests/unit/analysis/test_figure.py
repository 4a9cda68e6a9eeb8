"""What the figure of a result shows."""

from dataclasses import replace
from pathlib import Path

import pytest

from xasnn_stream.analysis.figure import check_target, draw, figure_of
from xasnn_stream.errors import UsageError


def texts(figure):
    axes = figure.get_axes()
    labels = [
        label for axis in axes for label in (axis.get_xlabel(), axis.get_ylabel())
    ]
    titles = [
        axis.get_title(loc) for axis in axes for loc in ("left", "center", "right")
    ]
    words = [text.get_text() for axis in axes for text in axis.texts]
    legends = [
        text.get_text()
        for axis in axes
        if axis.get_legend()
        for text in axis.get_legend().get_texts()
    ]
    return [text for text in [*labels, *titles, *words, *legends] if text]


def test_a_figure_shows_spectrum_foil_difference_and_descriptors(run, examples):
    (result,) = run(examples / "particles.xdi", foil=examples / "foil.dat")
    figure = figure_of(result)
    shown = texts(figure)
    for wanted in ("energy / eV", "normalized μ(E)", "sample − foil", "sample"):
        assert wanted in shown
    assert any(text.startswith("foil: foil.dat\nmoved by") for text in shown)
    cn1 = result.estimate.descriptors["cn1"]
    low, high = cn1.interval
    assert f"{cn1.value:.1f} ({low:.1f}–{high:.1f})" in shown
    assert "r1 / Å" in shown
    assert any(text.startswith(result.estimate.verdict) for text in shown)


def test_a_shifted_foil_is_drawn_on_the_samples_edge(run, examples):
    shifted = examples / "shifted.dat"
    rows = (examples / "foil.dat").read_text().splitlines()
    shifted.write_text(
        "\n".join(
            row if row.startswith("#") else f"{float(row.split()[0]) - 2} {row[10:]}"
            for row in rows
        )
    )
    (here,) = run(examples / "particles.xdi", foil=examples / "foil.dat")
    (there,) = run(examples / "particles.xdi", foil=shifted)
    here_line, there_line = (
        figure_of(result).get_axes()[1].get_lines()[-1].get_ydata()
        for result in (here, there)
    )
    # On a grid of half an eV the steep edge errs by this; unmoved it would be 0.3.
    assert there_line[20:280] == pytest.approx(here_line[20:280], abs=0.06)


def test_a_rejected_scan_is_shown_as_measured_with_its_reason(run, examples):
    lines = (examples / "particles.xdi").read_text().splitlines()
    (examples / "cut.xdi").write_text("\n".join(lines[:60]))
    (result,) = run(examples / "cut.xdi", foil=examples / "foil.dat")
    assert result.estimate.verdict == "rejected"
    shown = texts(figure_of(result))
    assert "μ(E) as measured" in shown
    assert any("are needed to normalize" in text.replace("\n", " ") for text in shown)


def test_a_figure_is_written_in_the_form_of_its_name(run, examples):
    (result,) = run(examples / "particles.xdi")
    for name, magic in (("out.png", b"\x89PNG"), ("out.svg", b"<?xml")):
        draw(result, examples / name)
        assert (examples / name).read_bytes().startswith(magic)


@pytest.mark.parametrize("sample", [r"$\foo{ _x^$", "白金 触媒"])
def test_names_are_drawn_as_they_are(run, examples, sample):
    (result,) = run(examples / "particles.xdi")
    estimate = replace(result.estimate, sample=sample)
    draw(replace(result, estimate=estimate), examples / "out.svg")
    assert (examples / "out.svg").stat().st_size > 10_000


def test_a_figure_that_could_not_be_written_is_refused_first(tmp_path):
    with pytest.raises(UsageError, match="must end in"):
        check_target(tmp_path / "out.xyz")
    with pytest.raises(UsageError, match="there is no folder"):
        check_target(tmp_path / "none" / "out.png")
    check_target(Path("out.png"))
