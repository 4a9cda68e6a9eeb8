"""The file of a fluorescence detector: spectra by frame, regions of interest beside."""

from pathlib import Path

import h5py
import numpy as np

from xasnn_stream.spectrum import FloatArray

EFFICIENCIES = (0.9, 1.05, 1.0, 1.1)
BINS = 8
"""Of a spectrum; real ones have 4096, which nobody reads here."""


def rois_file(path: Path, counts: FloatArray) -> None:
    """Write an HDF5 file of four channels whose first region holds `counts` per frame.

    Frames have no times.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = len(EFFICIENCIES)
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry/instrument/detector")
        attributes = detector.create_group("NDAttributes")
        spectra = np.zeros((len(counts), channels, BINS), np.uint32)
        for channel, efficiency in enumerate(EFFICIENCIES):
            seen = np.rint(counts * efficiency)
            spectra[:, channel, BINS // 2] = seen
            attributes[f"CHAN{channel + 1}ROI1"] = seen
            attributes[f"CHAN{channel + 1}ROI1HLM"] = np.full(len(counts), 5.0)
            attributes[f"CHAN{channel + 1}ROI1LLM"] = np.full(len(counts), 4.0)
        detector.create_dataset("data", data=spectra, compression="gzip")
