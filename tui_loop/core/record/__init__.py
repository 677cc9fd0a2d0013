"""The record of a loop on disk: folders, files, journal, state, lock, requests."""
