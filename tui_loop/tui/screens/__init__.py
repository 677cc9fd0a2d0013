"""Screens: one a file, named after it."""
