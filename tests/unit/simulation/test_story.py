import json

import numpy as np
import pytest

from xasnn_stream.errors import ModelError, UsageError
from xasnn_stream.library import form
from xasnn_stream.shipped import model_folder
from xasnn_stream.simulation.story import held_out_particles, tell


def test_forty_sweeps_show_every_particle_and_nothing_else(library, particles):
    story = tell(library, particles, 40, np.random.default_rng(1))
    shown = {name for chapter in story for name, _ in chapter.parts}

    assert len(story) == 40
    assert shown == set(particles)


def test_particles_sinter_and_break_up_again(library, particles):
    story = tell(library, particles, 40, np.random.default_rng(1))
    atoms = [
        sum(
            share * sum(count for _, count in library.particles[name])
            for name, share in chapter.parts
        )
        for chapter in story
    ]
    top = int(np.argmax(atoms))

    assert 0.5 < top / 40 < 0.8
    assert np.all(np.diff(atoms[: top + 1]) >= -1e-9)
    assert np.all(np.diff(atoms[top:]) <= 1e-9)
    assert atoms[-1] < atoms[top] / 2


def test_the_temperature_follows(library, particles):
    story = tell(library, particles, 40, np.random.default_rng(1))
    hottest = int(np.argmax([chapter.temperature_k for chapter in story]))

    assert story[0].temperature_k == 300.0
    assert 0.5 < hottest / 40 < 0.8
    assert max(chapter.condition.delta_sigma2 for chapter in story) <= 0.004


def test_a_mixture_is_the_mean_over_atoms_and_over_bonds(library, particles):
    story = tell(library, particles, 40, np.random.default_rng(1))
    chapter = next(c for c in story if len(c.parts) == 2)
    (first, a), (second, b) = chapter.parts
    one, two = form(library, first), form(library, second)

    assert a + b == pytest.approx(1.0)
    assert chapter.truth["cn1"] == pytest.approx(a * one.cn[0] + b * two.cn[0])
    bonds = (a * one.cn[0] * one.r1 + b * two.cn[0] * two.r1) / chapter.truth["cn1"]
    # The particles are contracted by 0.6 % at most.
    assert 0.994 <= chapter.truth["r1"] / bonds <= 1.0
    assert set(chapter.truth) == {"cn1", "cn2", "cn3", "cn4", "r1", "oxidized"}


def test_air_leaks_in_at_the_end(library, particles):
    story = tell(library, particles, 40, np.random.default_rng(1))
    oxidized = [chapter.truth["oxidized"] for chapter in story]

    assert oxidized[:35] == [0.0] * 35
    assert np.all(np.diff(oxidized[34:]) > 0)
    assert oxidized[-1] == 1.0
    assert story[-1].sample.endswith(", 100% oxidized")


def test_a_story_can_be_a_single_sweep(library, particles):
    (only,) = tell(library, particles, 1, np.random.default_rng(1))

    assert only.sample == "hemi111_13"


def test_a_story_without_sweeps_is_refused(library, particles):
    with pytest.raises(UsageError, match="at least one sweep"):
        tell(library, particles, 0, np.random.default_rng(1))


@pytest.fixture
def with_held_out(tmp_path):
    """A function that writes the shipped manifest with other held-out particles."""
    shipped = json.loads((model_folder("pt-l3-xanes") / "manifest.json").read_text())

    def write(**held_out):
        del shipped["held_out"]
        (tmp_path / "manifest.json").write_text(json.dumps(shipped | held_out))
        return tmp_path

    return write


def test_held_out_particles_come_from_the_manifest(with_held_out):
    folder = with_held_out(held_out=["to38", "ico55"])

    assert held_out_particles(folder) == ("to38", "ico55")


@pytest.mark.parametrize("held_out", [{}, {"held_out": []}])
def test_a_manifest_without_held_out_particles_is_refused(with_held_out, held_out):
    folder = with_held_out(**held_out)

    with pytest.raises(ModelError, match=r"manifest\.json names no held-out particles"):
        held_out_particles(folder)


def test_held_out_particles_of_a_damaged_manifest_are_refused(with_held_out):
    folder = with_held_out(held_out=5)

    with pytest.raises(ModelError, match=r"manifest\.json is damaged"):
        held_out_particles(folder)
