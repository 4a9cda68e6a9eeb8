"""Consumers of the result log: Tiled, the ZeroMQ feed."""
