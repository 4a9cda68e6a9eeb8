"""The resident engine: a batch of spectra in, a batch of estimates out."""
