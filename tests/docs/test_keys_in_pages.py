"""The keys that README.md and the guide name are those of the actions that they stand for."""

from __future__ import annotations

import re

import pytest

from tests.conftest import CHECKOUT
from tui_loop.tui.actions import BY_ID, keys_of

NAMED = {
    "app.help": "?",
    "app.commands": ":",
    "app.theme": "ctrl+t",
    "app.quit": "q",
    "run.detach": "D",
    "pane.iterations": "1",
    "pane.config": "2",
    "pane.chart": "3",
    "pane.failures": "4",
    "pane.log": "5",
    "run.start": "r",
    "run.check": "C",
    "run.stop": "s",
    "run.pause": "p",
    "run.evaluate": "e",
    "run.checkpoint": "K",
    "run.resume": "a",
    "loop.next": "N",
    "loop.diagnosis": "d",
    "loop.compare": "c",
    "loop.patterns": "P",
    "loop.progress": "I",
    "loop.ready": "Y",
    "loop.queue": "Q",
    "loop.enqueue": "A",
    "loop.auto": "B",
    "loop.close": "X",
    "loop.report": "W",
    "loop.fresh": "Z",
    "loop.mark": "m",
    "loop.edit": "E",
    "loop.training": "T",
    "list.up": "↑",
    "list.down": "↓",
    "list.open": "enter",
    "config.changed": "v",
    "config.find": "/",
    "config.why": "w",
    "app.back": "esc",
    "chart.left": "←",
    "chart.right": "→",
    "chart.zoom_in": "+",
    "chart.zoom_out": "-",
    "chart.zoom_in_y": "g k",
    "chart.zoom_out_y": "g j",
    "chart.grid": "g v",
    "chart.x_axis": "g x",
    "chart.clip": "g o",
    "chart.log": "g y",
    "chart.overlay": "g m",
    "chart.smoother": "g +",
    "chart.rougher": "g -",
    "failures.filter": "f",
    "failures.search": "/",
    "failures.sort": "S",
    "failures.again": "F",
    "breakdown.also": "space",
    "breakdown.name": "n",
    "example.worst": "w",
    "example.whose": "v",
    "example.reasoning": "i",
    "example.nearest": "n",
    "example.ask": "t",
    "example.edit": "E",
    "example.accept": "a",
    "example.bad_reference": "b",
    "example.ambiguous": "u",
    "example.comment": "c",
    "diagnosis.take": "space",
    "diagnosis.draft": "N",
    "progress.enqueue": "A",
    "check.previous": "[",
    "check.following": "]",
}
"""The actions that the two pages mention, with the key that they give."""

SIGNS = {"|", "●", "◐", "○", "▲"}
"""What is in backticks and is no key."""

_SPAN = re.compile(r"`([^`\n]+)`")
_KEY = re.compile(r".{1,2}|g .|enter|space|tab|esc|delete|(?:ctrl|shift)\+\w+")


@pytest.mark.parametrize("name", NAMED)
def test_an_action_has_the_key_that_the_pages_give(name: str) -> None:
    assert NAMED[name] in keys_of(BY_ID[name], {}), "change README.md and docs/guide.md too"


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_a_page_names_no_other_keys(name: str) -> None:
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    keys = {span for span in _SPAN.findall(text) if _KEY.fullmatch(span)}
    assert keys - SIGNS <= set(NAMED.values())
