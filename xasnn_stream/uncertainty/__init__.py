"""Decomposition, conformal calibration, novelty and coverage metrics."""
