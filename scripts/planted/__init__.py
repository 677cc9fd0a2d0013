"""Planted problems: real runs with a known fault, and how well the diagnosis finds it."""
