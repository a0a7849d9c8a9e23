"""Generators of small data, so that everything runs without a download."""
