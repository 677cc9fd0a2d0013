"""Reads files of rows without the training stack: JSON, JSON lines, CSV and plain text."""
