"""A number over several seeds: its median, lowest and highest value."""

from torch import Tensor

Spread = dict[str, float]
"""`median`, `low` and `high` over seeds."""


def spread(values: Tensor) -> Spread:
    """Summarize `seeds` values."""
    ordered = values.double()
    return {
        "median": float(ordered.quantile(0.5)),
        "low": float(ordered.amin()),
        "high": float(ordered.amax()),
    }
