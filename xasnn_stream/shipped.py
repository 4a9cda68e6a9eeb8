"""Where the profiles and models that come with the package are.

In a checkout they stand beside the package, in an installation under
`share/xasnn-stream`.
"""

import sys
from pathlib import Path
from typing import Literal

from xasnn_stream.errors import ModelError
from xasnn_stream.manifest import MANIFEST

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(kind: Literal["profiles", "models"]) -> Path:
    """Return the folder of the shipped profiles or models."""
    checkout = _PACKAGE.parent / kind
    if checkout.is_dir():
        return checkout
    return Path(sys.prefix) / "share" / "xasnn-stream" / kind


def model_folders() -> list[Path]:
    """Return the folders of the shipped models, by name."""
    return sorted(
        path.parent for path in shipped_folder("models").glob(f"*/{MANIFEST}")
    )


def model_part(name: str) -> tuple[Path, str]:
    """Return a model's folder, and of `NAME#Pd_K` the part that is named, else nothing.

    ModelError as `model_folder`.
    """
    folder, _, part = name.partition("#")
    return model_folder(folder), part


def model_folder(name_or_path: str) -> Path:
    """Return the folder of a shipped model's name, or of a path.

    Raises
    ------
    ModelError
        If there is neither; the message lists what is shipped.
    """
    for folder in (shipped_folder("models") / name_or_path, Path(name_or_path)):
        if (folder / MANIFEST).is_file():
            return folder
    names = ", ".join(folder.name for folder in model_folders())
    raise ModelError(f"no model {name_or_path}; shipped: {names or 'none'}")
