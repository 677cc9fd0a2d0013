"""The cache folder: fetched models, and temporary files of rows."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Returns the user's cache folder of the program; TUI_LOOP_CACHE names another one."""
    override = os.environ.get("TUI_LOOP_CACHE")
    return Path(override) if override else user_cache_path("tui-loop", appauthor=False)
