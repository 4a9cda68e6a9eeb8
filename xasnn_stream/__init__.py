"""Live structural descriptors, with tested uncertainties, from X-ray absorption."""

__version__ = "0.1.0"
