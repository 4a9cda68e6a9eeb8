"""Recovery: which runs lack a complete result, and reading them where they are stored."""
