"""Classical denoising of spectra: methods behind one interface, looked up by name."""
