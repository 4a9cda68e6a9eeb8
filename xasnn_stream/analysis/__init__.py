"""Measured files to estimates, through the daemon's engine."""
