"""How well denoisers do on spectra whose truth is known."""
