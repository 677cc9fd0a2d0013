"""What the documentation names exists: files, links, anchors, modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

PAGES = [
    CHECKOUT / "README.md",
    CHECKOUT / "CONTRIBUTING.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
]

HERE = "https://github.com/tui-loop/tui-loop/blob/main/"
RAW = "https://raw.githubusercontent.com/tui-loop/tui-loop/main/"

_LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(
    r"(?<![\w./-])((?:tui_loop|core|cli|tui|engine|scripts|tests|benchmarks)(?:/[\w-]+)+(?:\.[a-z]+)*)"
)
_NEW_FILE = re.compile(r"^ *# tests/\S+$", re.MULTILINE)  # of a recipe
_MODULE = re.compile(r"(?<![\w/])(\w+\.py)\b")
_NAME = re.compile(r"`([A-Z][a-z]+[A-Z]\w*(?:\.\w+)?|[a-z]+_[a-z_]+)(?:\(\))?`")

named = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def anchors_in(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in words}


def links_of(page: Path) -> list[str]:
    """The targets of a page's links that are files of this repository."""
    found = [one or other for one, other in _LINK.findall(page.read_text(encoding="utf-8"))]
    return [each for each in found if each.startswith((HERE, RAW)) or "://" not in each]


def is_there(path: str) -> bool:
    """Whether a path of the documentation exists, from the checkout or from the package on."""
    places = [CHECKOUT / path, CHECKOUT / "tui_loop" / path]
    return any(place.exists() or place.with_suffix(".py").exists() for place in places)


def sources() -> list[Path]:
    """All Python files of the repository."""
    folders = ("tui_loop", "scripts", "benchmarks", "tests")
    return [path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")]


@named
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links_of(page):
        name, _, anchor = link.removeprefix(HERE).removeprefix(RAW).partition("#")
        base = CHECKOUT if link.startswith((HERE, RAW)) else page.parent
        target = base / name if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors_in(target), f"{page.name}: {link}"


@named
def test_every_path_in_the_repository_exists(page: Path) -> None:
    text = _NEW_FILE.sub("", page.read_text(encoding="utf-8"))
    text = text.replace(HERE, "").replace(RAW, "")
    missing = [path for path in _PATH.findall(text) if not is_there(path)]
    assert not missing, f"{page.name} names paths that do not exist"
    modules = {path.name for path in sources()}
    unknown = [name for name in _MODULE.findall(text) if name not in modules]
    assert not unknown, f"{page.name} names modules that do not exist"


def test_the_architecture_names_what_the_code_has() -> None:
    text = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = sorted((CHECKOUT / "tui_loop").rglob("*.py"))
    code = "\n".join(path.read_text(encoding="utf-8") for path in package)
    words = set(re.findall(r"\w+", code))
    missing = {name for name in _NAME.findall(text) if not set(name.split(".")) <= words}
    assert not missing
