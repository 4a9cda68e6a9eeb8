"""Raw readings made fit to be read: counts, order, glitches, jumps, bins, repeats."""
