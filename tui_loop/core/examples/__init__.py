"""Held-out examples: which fail, why, and what happened to them across iterations."""
