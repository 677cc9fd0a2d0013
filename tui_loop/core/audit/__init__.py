"""Exact facts about what a run did, computed by the run and recorded in `audit.json`."""
