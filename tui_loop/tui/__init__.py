"""The terminal application: the only place for textual and plotext."""
