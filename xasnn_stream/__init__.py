"""Live structural descriptors, with uncertainties that hold, from X-ray absorption."""

__version__ = "0.1.0"
