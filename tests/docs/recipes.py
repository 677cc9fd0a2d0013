"""Applies the blocks of a recipe of CONTRIBUTING.md to a copy of the repository.

A `diff` block names a file and has the lines to insert (`+`) or remove (`-`) beside lines of
context, of which one that ends in `...` is the beginning of a line. A `python` block that begins
with the comment `# tests/...` is a new file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec

from tests.conftest import CHECKOUT

CONTRIBUTING = CHECKOUT / "CONTRIBUTING.md"
COPIED = ("tui_loop", "tests", "scripts", "docs", "pyproject.toml", "README.md", "CONTRIBUTING.md")
LINKED = ("loops", "sample_data", "benchmarks")

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_NEW_FILE = re.compile(r"# (tests/\S+\.py)\n")


class Edit(msgspec.Struct, frozen=True):
    """A change of one file: `before` are lines as they are, `after` as they become.

    An item of `before` that ends in `...` is the beginning of a line, which is kept.
    """

    path: str
    before: tuple[str, ...]
    after: tuple[str | int, ...]

    def apply(self, root: Path) -> None:
        """Changes the file under `root`, which has the context exactly once."""
        path = root / self.path
        lines = path.read_text(encoding="utf-8").split("\n")
        size = len(self.before)
        places = [at for at in range(len(lines) - size + 1) if self._is_at(lines, at)]
        assert len(places) == 1, f"{self.path}: {self.before} is there {len(places)} times"
        (at,) = places
        after = [lines[at + each] if isinstance(each, int) else each for each in self.after]
        lines[at : at + size] = after
        path.write_text("\n".join(lines), encoding="utf-8")

    def _is_at(self, lines: list[str], at: int) -> bool:
        pairs = zip(lines[at:], self.before, strict=False)
        return all(
            line.startswith(wanted.removesuffix("..."))
            if wanted.endswith("...")
            else line == wanted
            for line, wanted in pairs
        )


class Recipe(msgspec.Struct, frozen=True):
    """The edits and new files of a recipe, in order."""

    edits: tuple[Edit, ...]
    files: dict[str, str]

    def apply(self, root: Path) -> None:
        for edit in self.edits:
            edit.apply(root)
        for name, text in self.files.items():
            (root / name).write_text(text, encoding="utf-8")


def recipe(title: str) -> Recipe:
    """The recipe under a heading of CONTRIBUTING.md."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    edits, files = [], {}
    for _, language, indented in _BLOCK.findall(section):
        block = textwrap.dedent(indented)
        if language == "diff":
            edits.append(_edit(block))
        elif found := _NEW_FILE.match(block):
            files[found[1]] = block[found.end() :]
    assert edits, f"no recipe under {title!r}"
    return Recipe(tuple(edits), files)


def _edit(block: str) -> Edit:
    head, *lines = block.rstrip("\n").split("\n")
    assert head.startswith("--- "), head
    before: list[str] = []
    after: list[str | int] = []
    for line in lines:
        sign, rest = line[:1], line[1:]
        if sign == "+":
            after.append(rest)
        else:
            assert sign in ("", " ", "-"), line
            if sign != "-":
                after.append(len(before))
            before.append(rest)
    return Edit(head.removeprefix("--- "), tuple(before), tuple(after))


def copy_of_repository(root: Path) -> Path:
    """A copy that can be changed; data and recorded loops are links."""
    without = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=without)
        else:
            shutil.copy2(source, root / name)
    for name in LINKED:
        (root / name).symlink_to(CHECKOUT / name)
    return root


def python_in(root: Path, *arguments: str) -> str:
    """What Python prints in the copy; the test fails where Python does."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
