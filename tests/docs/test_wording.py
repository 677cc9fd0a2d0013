"""The pages that people write avoid the phrases that the code avoids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.docs import PAGES
from scripts.phrases import PHRASES
from tests.conftest import CHECKOUT

GENERATED = {*PAGES, "docs/reliability.md"}
WRITTEN = [
    path
    for path in (
        *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md")),
        *sorted((CHECKOUT / "docs").glob("*.md")),
    )
    if str(path.relative_to(CHECKOUT)) not in GENERATED
]

_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_PHRASE = re.compile(rf"\b(?:{'|'.join(map(re.escape, PHRASES))})\b", re.IGNORECASE)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: path.name)
def test_a_page_has_no_phrase_for_which_there_are_plainer_words(page: Path) -> None:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    assert _PHRASE.findall(text) == []
