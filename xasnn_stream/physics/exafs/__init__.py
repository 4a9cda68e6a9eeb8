"""From μ(E) to χ(k), χ(R) and χ(q)."""
