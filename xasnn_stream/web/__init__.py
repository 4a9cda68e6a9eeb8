"""Read-only HTTP: health, metrics and the result log."""
