"""Where documents come from, and the safe codecs they travel in."""
