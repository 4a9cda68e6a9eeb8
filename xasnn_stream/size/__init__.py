"""How large a metal particle is, and of which shape, by its coordination numbers."""
