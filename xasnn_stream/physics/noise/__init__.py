"""Counting noise, and what becomes of it."""
