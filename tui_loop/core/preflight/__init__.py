"""Preflight: what can be known of a run before it starts. No training stack."""
