"""The edge, the lines below and above it, and how far either can be trusted."""
