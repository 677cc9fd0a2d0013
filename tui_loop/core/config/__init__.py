"""Configs: the schema, validation, `--set`, and what a form needs to know of a field."""
