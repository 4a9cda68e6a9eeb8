"""Batched torch functions from counts to normalized spectra; no state, no I/O."""
