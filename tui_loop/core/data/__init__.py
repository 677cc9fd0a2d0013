"""Rows of data: reading files, mapping columns to roles, splitting. No training stack."""
