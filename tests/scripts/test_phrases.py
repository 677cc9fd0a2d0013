"""The script that refuses phrases."""

from __future__ import annotations

from pathlib import Path

from scripts.phrases import PHRASES, refused

SOURCE = '''"""The run goes on, and is
held against its parent."""

TOLD = "nothing"  # Stands where it is
text = f"{TOLD}: is told"
'''


def test_phrases_are_found_in_docstrings_strings_and_comments_even_across_lines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    assert refused(path, set(PHRASES)) == [
        f"{path}:1: 'goes on': {PHRASES['goes on']}",
        f"{path}:2: 'held against': {PHRASES['held against']}",
        f"{path}:4: 'stands': {PHRASES['stands']}",
        f"{path}:5: 'told': {PHRASES['told']}",
    ]


def test_phrases_that_are_excepted_pass(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    assert refused(path, {"mend"}) == []
    assert refused(path, set()) == []
