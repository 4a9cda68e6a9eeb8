"""Measured files of any beamline: bytes in, scans with named channels out."""
