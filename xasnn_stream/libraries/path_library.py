"""Scattering paths of the sites of a recipe as one HDF5 file (`xasnn.paths/1`)."""

import json
import os
from pathlib import Path

from xasnn_stream.libraries.feff.paths import COLUMNS, ScatteringPath
from xasnn_stream.libraries.recipe import LibraryRecipe, Plan

SCHEMA = "xasnn.paths/1"


def write_paths(
    path: Path,
    recipe: LibraryRecipe,
    plan: Plan,
    found: dict[tuple[float, str], tuple[ScatteringPath, ...]],
) -> None:
    """Write paths as groups `scale/site/NNNN`; the file appears whole or not at all.

    A group has the attributes `nleg`, `degeneracy` and `reff` (Å) and the datasets
    `atoms` (`legs x 3`, Å) and `table` (`points x 7`), whose columns the file names;
    `particles` maps a particle to its sites and their numbers, as JSON.
    """
    import h5py

    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with h5py.File(unfinished, "w") as file:
            file.attrs.update(
                schema=SCHEMA,
                element=recipe.element,
                edge=recipe.edge,
                columns=list(COLUMNS),
                lattice_a=recipe.lattice_a,
            )
            file["particles"] = json.dumps(dict(plan.particles))
            for (scale, site), paths in found.items():
                for one in paths:
                    group = file.create_group(f"{scale:g}/{site}/{one.number:04d}")
                    group.attrs.update(
                        nleg=one.nleg, degeneracy=one.degeneracy, reff=one.reff
                    )
                    group["atoms"], group["table"] = one.atoms, one.table
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
