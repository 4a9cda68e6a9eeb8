"""Mixtures, recipes, fitting, evaluation and model cards."""
