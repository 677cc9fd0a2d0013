"""Checks before a run that need the training stack; `gate` is their entry."""
