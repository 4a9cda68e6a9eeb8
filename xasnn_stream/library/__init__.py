"""Training spectra: read and write a site library, form the spectra of whole particles.

A library (`xasnn.library/1`) holds the spectra of single sites and which sites make up
which particle. Spectra are on `x` eV relative to the tabulated edge, x = 0 being the
maximum of the first derivative of the measured foil.
"""

from xasnn_stream.library.contents import (
    Contents,
    library_files,
    read_contents,
)
from xasnn_stream.library.forming import Formed, average, crystal, form, mix
from xasnn_stream.library.hdf5 import PARTICLES_FILE, write_library
from xasnn_stream.library.reading import library_of, read_library
from xasnn_stream.library.site_spectra import (
    BULK,
    REFERENCE_SCALE,
    SHELL_BULK_CN,
    Library,
    shape_class,
)

__all__ = [
    "BULK",
    "PARTICLES_FILE",
    "REFERENCE_SCALE",
    "SHELL_BULK_CN",
    "Contents",
    "Formed",
    "Library",
    "average",
    "crystal",
    "form",
    "library_files",
    "library_of",
    "mix",
    "read_contents",
    "read_library",
    "shape_class",
    "write_library",
]
