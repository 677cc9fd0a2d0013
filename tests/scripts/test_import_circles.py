"""The script that lists import circles."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("grimp")

from scripts.import_circles import PACKAGE, circles

FILES = {
    "__init__": "",
    "one": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from NAME.two import Two\n",
    "two": "def later():\n    import NAME.three\n",
    "three": "from NAME import one\n",
    "apart": "from NAME.one import *\n",
    "inner/__init__": "from NAME.inner.child import value\n",
    "inner/child": "from NAME.inner.other import value\n",
    "inner/other": "import NAME.four\n",
    "four": "value = 1\n",
}


def write(folder: Path, name: str, files: dict[str, str]) -> None:
    for module, text in files.items():
        path = folder / name / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NAME", name))


def test_the_package_has_no_import_circle() -> None:
    assert circles(PACKAGE) == []


def test_a_circle_is_found_through_functions_and_imports_for_types_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "circled", FILES)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "circled"
    assert circles("circled") == [
        [
            f"{folder}/one.py:3: from circled.two import Two",
            f"{folder}/three.py:1: from circled import one",
            f"{folder}/two.py:2: import circled.three",
        ]
    ]


def test_what_a_package_imports_counts_for_those_who_import_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "__init__": "",
        "inner/__init__": "import NAME.outer\n",
        "inner/child": "",
        "outer": "import NAME.inner.child\n",
    }
    write(tmp_path, "packaged", files)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "packaged"
    assert circles("packaged") == [
        [
            f"{folder}/inner/__init__.py:1: import packaged.outer",
            f"{folder}/outer.py:1: import packaged.inner.child",
        ]
    ]
