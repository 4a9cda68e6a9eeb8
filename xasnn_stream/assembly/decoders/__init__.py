"""Decoders of external files: one table, by spec, mimetype or the name in a profile."""

from collections.abc import Mapping
from types import MappingProxyType

from xasnn_stream.assembly.decoders.decoder import (
    Columns,
    Decoder,
    NotReady,
    Undecodable,
)
from xasnn_stream.assembly.decoders.growing import GrowingArray
from xasnn_stream.assembly.decoders.hdf5 import dataset, panda, xspress3
from xasnn_stream.assembly.decoders.pizzabox import (
    adc,
    binary,
    electrometer,
    encoder,
    trigger,
)
from xasnn_stream.assembly.decoders.text import headerless

_NAMES: Mapping[Decoder, tuple[str, ...]] = {
    electrometer: ("apb", "APB"),
    trigger: ("apb_trigger", "APB_TRIGGER"),
    binary: ("pizzabox_binary", "application/x-pizzabox-binary"),
    encoder: ("pizzabox_encoder", "PIZZABOX_ENC_FILE_TXT", "PIZZABOX_ENC_FILE_TXT_PD"),
    adc: ("pizzabox_adc", "PIZZABOX_AN_FILE_TXT", "PIZZABOX_AN_FILE_TXT_PD"),
    headerless: ("csv", "text/csv;header=absent"),
    xspress3: ("xspress3", "XSP3", "XSP3_FLY", "XSP3X"),
    panda: ("panda", "PANDA"),
    dataset: (
        "hdf5",
        "application/x-hdf5",
        "HDF5",
        "AD_HDF5",
        "AD_HDF5_SWMR",
        "AD_HDF5_SWMR_STREAM",
    ),
}

DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {name: decoder for decoder, names in _NAMES.items() for name in names}
)
"""A new file format is a new function here; a new beamline with known files is none."""

__all__ = [
    "DECODERS",
    "Columns",
    "Decoder",
    "GrowingArray",
    "NotReady",
    "Undecodable",
]
