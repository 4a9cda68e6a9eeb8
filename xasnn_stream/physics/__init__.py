"""From counts to normalized spectra: pure functions, batched in torch where it counts."""
