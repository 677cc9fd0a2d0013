"""Comparing iterations: claims, the best so far, progress with its uncertainty."""
