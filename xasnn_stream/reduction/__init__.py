"""What `normalize` does: measured files to normalized μ, χ(k) and χ(R)."""
