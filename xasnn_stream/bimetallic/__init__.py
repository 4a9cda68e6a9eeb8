"""Partial coordination numbers of two elements, from both their edges together."""
