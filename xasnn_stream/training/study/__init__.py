"""Which architecture carries over: toy curves, another theory, measured spectra."""
