"""Writes the table of keys into the README, between two marks: `python -m scripts.key_table`."""

from __future__ import annotations

from pathlib import Path

from tui_loop.tui.actions import key_table

BEGIN, END = "<!-- keys: made by scripts/key_table.py -->", "<!-- end of keys -->"


def with_keys(readme: str) -> str:
    """The README with the table as the actions have it now."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{key_table()}\n\n{END}{tail}"


if __name__ == "__main__":
    path = Path("README.md")
    path.write_text(with_keys(path.read_text(encoding="utf-8")), encoding="utf-8")
