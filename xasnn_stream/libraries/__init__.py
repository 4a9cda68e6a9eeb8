"""Tools for training libraries: what is in them, how good they are, and making them."""
