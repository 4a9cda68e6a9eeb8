"""FEFF, the program: its inputs, running it, and what it leaves behind."""
