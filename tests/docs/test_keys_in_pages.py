"""The keys that README.md and the guide name are those of the actions that they stand for."""

from __future__ import annotations

import re

import pytest

from tests.conftest import CHECKOUT
from tui_loop.tui.actions import BY_ID
from tui_loop.tui.keys import keys_of

NAMED = {
    "app.help": "?",
    "app.commands": ":",
    "app.search": "/",
    "app.theme": "g b",
    "app.leader": "g",
    "app.messages": "g i",
    "app.quit": "q",
    "run.detach": "D",
    "pane.iterations": "1",
    "pane.config": "2",
    "pane.chart": "3",
    "pane.failures": "4",
    "pane.log": "5",
    "run.start": "r",
    "run.check": "g c",
    "run.stop": "s",
    "run.pause": "p",
    "run.evaluate": "g e",
    "run.checkpoint": "g k",
    "run.resume": "R",
    "loop.next": "i",
    "loop.diagnosis": "d",
    "loop.compare": "c",
    "loop.patterns": "g p",
    "loop.progress": "g h",
    "loop.ready": "g r",
    "loop.queue": "g q",
    "loop.enqueue": "A",
    "loop.auto": "g a",
    "loop.close": "g f",
    "loop.report": "g w",
    "loop.fresh": "g s",
    "loop.mark": "m",
    "loop.edit": "e",
    "loop.training": "g t",
    "list.up": "↑",
    "list.down": "↓",
    "list.open": "enter",
    "iterations.filter": "f",
    "iterations.search": "/",
    "iterations.next_match": "n",
    "iterations.previous_match": "N",
    "iterations.sort": "o",
    "iterations.columns": "g C",
    "log.follow": "end",
    "config.changed": "v",
    "config.why": "a",
    "app.back": "esc",
    "chart.left": "←",
    "chart.right": "→",
    "chart.zoom_in": "+",
    "chart.zoom_out": "-",
    "chart.zoom_in_y": "g >",
    "chart.zoom_out_y": "g <",
    "chart.grid": "g G",
    "chart.x_axis": "g x",
    "chart.clip": "g K",
    "chart.log": "g y",
    "chart.overlay": "g V",
    "chart.smoother": "g +",
    "chart.rougher": "g -",
    "failures.filter": "f",
    "failures.search": "/",
    "failures.sort": "o",
    "failures.breakdown": "g d",
    "failures.again": "g n",
    "field.complete": "tab",
    "breakdown.also": "space",
    "breakdown.name": "A",
    "example.worst": "n",
    "example.whose": "v",
    "example.reasoning": "space",
    "example.nearest": "g t",
    "example.ask": "g m",
    "example.edit": "e",
    "example.accept": "a a",
    "example.bad_reference": "a b",
    "example.ambiguous": "a m",
    "example.comment": "a n",
    "example.clear": "a x",
    "iterations.reverse": "g v",
    "diagnosis.take": "space",
    "diagnosis.draft": "i",
    "progress.enqueue": "A",
    "check.previous": "[",
    "check.following": "]",
}
"""The actions that the two pages mention, with the key that they give."""

SIGNS = {"|", "●", "◐", "○", "★", "▲"}
"""What is in backticks and is no key."""

_SPAN = re.compile(r"`([^`\n]+)`")
_KEY = re.compile(r".{1,2}|[a-z] .|enter|space|tab|esc|delete|(?:ctrl|shift)\+\w+")


@pytest.mark.parametrize("name", NAMED)
def test_an_action_has_the_key_that_the_pages_give(name: str) -> None:
    assert NAMED[name] in keys_of(BY_ID[name], {}), "change README.md and docs/guide.md too"


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_a_page_names_no_other_keys(name: str) -> None:
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    keys = {span for span in _SPAN.findall(text) if _KEY.fullmatch(span)}
    assert keys - SIGNS <= set(NAMED.values())
