"""Counters, health and logging."""
