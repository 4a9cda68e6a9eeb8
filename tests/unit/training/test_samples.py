import pytest
import torch

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import BULK
from xasnn_stream.training.mixtures import labels, particle_weights
from xasnn_stream.training.pool import held_out_sites
from xasnn_stream.training.samples import (
    BULK_SHARES,
    DRAWS,
    in_pool,
    particles_with_bulk,
    site_mixtures,
    splits,
    whole_particles,
)


def test_particles_are_drawn_at_every_scale_where_they_are_complete(library):
    found = whole_particles(library, ["to38", "cubo147", "bogus"], "held-out")
    at = {name: sum(name in library.complete(s) for s in library.scales) for name in
          ("to38", "cubo147")}  # fmt: skip
    assert at["to38"] > at["cubo147"] > 0
    assert found.owners.count("to38") == at["to38"] * DRAWS
    assert found.owners.count("cubo147") == at["cubo147"] * DRAWS
    assert found.n_particles == 2
    one = found.weights[found.owners.index("cubo147")]
    assert torch.allclose(one, particle_weights(library, "cubo147", 1.0))


def test_no_particle_is_an_error_that_names_the_split(library):
    with pytest.raises(LibraryError, match="no new particle is complete"):
        whole_particles(library, ["bogus"], "new")


def test_bulk_takes_its_share_of_every_draw(library):
    found = particles_with_bulk(library, ["to38"], "held-out")
    cn1 = labels(library, found.weights, ["cn1"])[:, 0]
    alone = labels(library, particle_weights(library, "to38", 1.0)[None], ["cn1"])
    share = (cn1 - alone.item()) / (12 - alone.item())
    low, high = BULK_SHARES
    assert share.min() >= low - 1e-5
    assert share.max() <= high + 1e-5
    # 192 uniform draws come within a tenth of the range of both ends.
    assert share.min() < low + 0.06
    assert share.max() > high - 0.06
    assert found.split == "held-out, with bulk"


def test_draws_of_the_pool_hold_no_site_of_a_held_out_particle(library, recipe):
    found = in_pool(library, recipe)
    banned = held_out_sites(library, recipe.held_out)
    rows = [i for i, site in enumerate(library.site) if site in banned]
    assert len(rows) > 50
    assert found.weights[:, rows].abs().max() == 0
    assert torch.allclose(
        found.weights.sum(1), torch.ones(len(found.weights)), atol=1e-5
    )
    assert len(found.weights) >= 2000


def test_mixtures_of_a_library_are_of_no_particle(library, recipe):
    found = site_mixtures(library, recipe)
    assert found.n_particles == 0
    assert set(found.owners) == {"mixture"}


def test_every_particle_is_in_one_split_and_a_twin_with_its_other_name(library, model):
    of = splits(model.manifest, library)
    every = [name for names in of.values() for name in names]
    assert len(every) == len(set(every))
    assert set(every) == set(library.particles) - {BULK}
    assert set(model.manifest["held_out"]) | {"sphO_38"} == set(of["held-out"])
    assert set(model.manifest["training_particles"]) == set(of["training"])
