"""Nothing of a held-out particle reaches training, nothing of a fold its member."""

import dataclasses

import numpy as np
import pytest
import torch

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import form, mix
from xasnn_stream.training.mixtures import draw, labels, particle_weights
from xasnn_stream.training.pool import (
    draw_pool,
    draw_structures,
    held_out_sites,
    split,
    training_structures,
)

DRAWS = 5000


@pytest.fixture(scope="module")
def parts(library, recipe):
    return split(library, recipe)


@pytest.fixture(scope="module")
def drawn(library, recipe, parts):
    kit = training_structures(library, recipe, parts)
    rng = torch.Generator().manual_seed(17)
    return draw(kit, recipe.mixtures, DRAWS, rng)


def rows_of(library, names):
    """Return the rows, at every scale, of all sites of some particles but bulk."""
    sites = {site for name in names for site, _ in library.particles[name]}
    sites -= {library.bulk_site}
    return [row for row, site in enumerate(library.site) if site in sites]


def test_no_held_out_site_is_ever_drawn(library, recipe, drawn):
    banned = rows_of(library, recipe.held_out)
    assert len(banned) > 50
    assert (drawn[:, banned] == 0).all()


def test_bulk_and_all_other_sites_are_drawn(library, recipe, drawn):
    touched = (drawn != 0).any(0)
    bulk = [row for row, site in enumerate(library.site) if site == library.bulk_site]
    assert touched[bulk].all()
    at_reference = library.rows(1.0)
    free = [
        row
        for site, row in at_reference.items()
        if site not in held_out_sites(library, recipe.held_out)
    ]
    # 5000 draws of up to eight of about a hundred sites miss none.
    assert touched[free].all()


def test_drawn_weights_sum_to_one(drawn):
    # Lagrange weights between lattice scales may be negative, their sum is one.
    assert (drawn.sum(1) - 1).abs().max() < 1e-5
    assert drawn.min() > -0.2


def test_the_split_keeps_held_out_particles_and_second_names_out(recipe, parts):
    assert parts.held_out == recipe.held_out
    assert not set(parts.training) & set(recipe.held_out)
    assert not set(parts.training) & set(recipe.duplicates)
    assert len(parts.folds) == recipe.fit.members
    folds = list(dict.fromkeys(parts.folds))
    assert len(folds) == recipe.fit.folds
    assert sorted(name for fold in folds for name in fold) == sorted(parts.training)
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_no_member_sees_the_sites_of_its_fold(library, recipe, parts, on):
    told = []
    chunks = list(
        draw_structures(
            library, recipe, parts, torch.Generator().manual_seed(17), told.append
        )
    )
    weights, allowed = (torch.cat(column) for column in zip(*chunks, strict=True))
    assert weights.shape == (2500, len(library.site))
    for member, fold in enumerate(parts.folds):
        inside = (weights[:, rows_of(library, fold)] != 0).any(1)
        assert torch.equal(allowed[:, member], ~inside)
        # Enough remains to learn from: a member's own share and few-site mixtures.
        assert allowed[:, member].float().mean() > 0.3
    assert told[-1] == 1.0


def test_a_pool_is_the_spectra_and_the_truth_of_its_structures(
    library, recipe, parts, on
):
    pool = draw_pool(
        library, recipe, parts, on, torch.Generator().manual_seed(17), lambda _: None
    )
    # The same generator draws the same first chunk of structures again.
    rng = torch.Generator().manual_seed(17)
    again, allowed = next(draw_structures(library, recipe, parts, rng, lambda _: None))
    assert torch.equal(pool.allowed[: len(again)], allowed)
    assert pool.values.shape == (2500, len(on.grid))
    assert pool.values.isfinite().all()
    truth = labels(library, again, recipe.descriptors)
    torch.testing.assert_close(pool.truth[: len(again)], truth, rtol=0, atol=1e-5)


def test_members_of_a_bootstrap_never_see_what_they_did_not_draw(library, recipe, on):
    fit = dataclasses.replace(recipe.fit, folds=0, members=4, pool=400)
    recipe = dataclasses.replace(recipe, fit=fit)
    parts = split(library, recipe)
    assert len(set(parts.folds)) == 4
    for fold in parts.folds:
        # A bootstrap leaves out 1/e of the particles.
        assert 0.15 < len(fold) / len(parts.training) < 0.6
    rng = torch.Generator().manual_seed(17)
    weights, allowed = next(
        draw_structures(library, recipe, parts, rng, lambda _: None)
    )
    for member, fold in enumerate(parts.folds):
        inside = (weights[:, rows_of(library, fold)] != 0).any(1)
        assert torch.equal(allowed[:, member], ~inside)
        assert allowed[:, member].float().mean() > 0.2


def test_more_members_than_folds_share_them(library, recipe):
    fit = dataclasses.replace(recipe.fit, folds=3, members=6)
    folds = split(library, dataclasses.replace(recipe, fit=fit)).folds
    assert folds[:3] == folds[3:]
    assert len(set(folds)) == 3


@pytest.mark.parametrize(
    ("particle", "scale"),
    [("to38", 1.0), ("to38", 0.96), ("cubo147", 1.0), ("ico55", 0.98), ("bulk", 0.96)],
)
def test_labels_are_the_librarys(library, particle, scale):
    weights = particle_weights(library, particle, scale).unsqueeze(0)
    formed = form(library, particle, scale)
    truth = labels(library, weights, ("cn1", "cn2", "cn3", "cn4", "r1"))[0]
    np.testing.assert_allclose(truth.numpy(), [*formed.cn, formed.r1], rtol=1e-5)
    np.testing.assert_allclose(
        (weights[0].double() @ torch.from_numpy(library.mu)).numpy(),
        formed.mu,
        atol=1e-6,
    )


def test_labels_of_a_mixture_are_means_over_atoms_and_bonds(library):
    parts = [(0.3, "to38"), (0.7, "bulk")]
    weights = sum(w * particle_weights(library, name, 1.0) for w, name in parts)
    truth = labels(library, weights.unsqueeze(0), ("r1", "cn1"))[0].tolist()
    mixed = mix([(w, form(library, name)) for w, name in parts])
    assert truth == pytest.approx([mixed.r1, mixed.cn[0]], rel=1e-5)


def test_scales_between_the_computed_ones_are_interpolated(library, recipe, parts):
    kit = training_structures(library, recipe, parts)
    only_bulk = dataclasses.replace(recipe.mixtures, scaled=1.0, bulk=1.0)
    weights = draw(kit, only_bulk, 500, torch.Generator().manual_seed(1))
    # Every draw has a share of bulk; its rows interpolate r1 = 2.7748·scale linearly.
    share = weights[:, kit.bulk]
    lattice = share @ torch.tensor(kit.scales) / share.sum(1)
    kept = share.sum(1) > 0.05
    assert 0.9599 < lattice[kept].min() < 0.965
    assert 0.995 < lattice[kept].max() < 1.0001


def test_an_unknown_particle_is_an_error_that_lists_the_known(library):
    with pytest.raises(LibraryError, match=r"no particle to39.*to38"):
        held_out_sites(library, ["to39"])
