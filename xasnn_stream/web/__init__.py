"""Read-only HTTP: the live page, its events, health, metrics and the result log."""
