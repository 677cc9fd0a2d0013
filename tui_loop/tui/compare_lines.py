"""A comparison as lines to read: what can be said, configs, metrics, causes, one example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui_loop.core.compare.claims import claim_words
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.compare.contrast import Contrast
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.results import compared_metrics
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import brief, loss, percent
from tui_loop.core.text.similarity import word_diff
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.example_lines import Lines
from tui_loop.tui.hints import in_keys
from tui_loop.tui.iteration_lines import claim_tone
from tui_loop.tui.widgets.changed_list import Causes, Sides, said_by, why_words
from tui_loop.tui.widgets.toned import Part

METRICS = ("train_loss", "eval_loss", "score", "macro_f1", "passed", "total", "steps")
PERCENT = ("score", "macro_f1")
NAME, VALUE = 28, 24
"""The most cells of a name and of the older value."""

Row = tuple[str, str, str]


def contrast_lines(contrast: Contrast) -> Lines:
    """All but the examples themselves."""
    result = contrast.comparison
    lines: Lines = [[("note: ", "warn"), (each, "")] for each in result.notices]
    lines += [*_claim(result), []]
    same = "nothing differs" + (": 0 is the model before any training" if not result.a else "")
    lines += _table("config", result, _config(result), same)
    lines += [[], *_table("metric", result, _metrics(result), "nothing was measured"), []]
    return lines + _causes(contrast)


def changed_lines(result: Comparison, sides: Sides, causes: Causes) -> Lines:
    """One example of both, with what is not in the reference in brackets."""
    old, new = sides
    why = why_words(*causes, is_fixed=bool(new.passed))
    before, after = (loss(each.loss) or "none" for each in sides)
    width = max(9, len(f"{max(result.a, result.b)} said") + 3)
    return [
        [(fit("why", width), "muted"), (why, ""), (f"   loss {before} → {after}", "muted")],
        [(fit("wanted", width), "muted"), (flat(new.reference, 400), "strong")],
        [(fit(f"{result.a} said", width), "muted"), *_said(old)],
        [(fit(f"{result.b} said", width), "muted"), *_said(new)],
        [(fit("prompt", width), "muted"), (flat(new.prompt, 1_000), "")],
    ]


def text_of_both(old: Example, new: Example) -> str:
    """What is copied of an example of two iterations."""
    return "\n".join((new.prompt, new.reference, old.output or "", new.output or ""))


def _claim(result: Comparison) -> Lines:
    lines: Lines = []
    for label, claim_text in claim_words(result):
        text = in_keys(claim_text, {})
        head = fit(label.removesuffix(":"), 11) + " " if label or lines else ""
        if label.endswith("change:"):
            before, claim, after = text.partition(result.claim)
            tone = claim_tone(result) or "strong"
            lines.append([(head, "muted"), (before, ""), (claim, tone), (after, "muted")])
        else:
            lines.append([(head, "muted"), (text, "" if label else "muted")])
    return lines


def _config(result: Comparison) -> list[Row]:
    return [
        (flat(name, 200), flat(brief(old), 200), flat(brief(new), 200))
        for name, (old, new) in result.config.items()
    ]


def _metrics(result: Comparison) -> list[Row]:
    return [
        (name, _figure(name, result.metrics[name][0]), _figure(name, result.metrics[name][1]))
        for name in compared_metrics(result.metrics, METRICS)
        if result.metrics[name] != (None, None)
    ]


def _figure(name: str, value: Any) -> str:
    if name.partition(".")[0] in PERCENT:
        return percent(value)
    return loss(value) if isinstance(value, (float, str)) else "" if value is None else str(value)


def _causes(contrast: Contrast) -> Lines:
    result = contrast.comparison
    rows = [
        (each.words, str(each.before), f"{each.after:<6}{each.change}".rstrip())
        for each in contrast.causes
    ]
    nothing = "nothing is compared" if result.interval is None else "no failure in either"
    return _table("why they fail", result, rows, nothing)


def _table(head: str, result: Comparison, rows: Sequence[Row], nothing: str) -> Lines:
    if not rows:
        return [[(fit(head, len(head) + 2), "strong"), (nothing, "muted")]]
    heads = (head, str(result.a), str(result.b))
    name = min(NAME, max(len(row[0]) for row in [heads, *rows])) + 2
    middle = min(VALUE, max(len(row[1]) for row in [heads, *rows])) + 2
    lines: Lines = [
        [(fit(head, name), "strong"), (fit(heads[1], middle), "strong"), (heads[2], "strong")]
    ]
    for field, before, after in rows:
        cells: list[Part] = [(fit(field, name - 1) + " ", ""), (fit(before, middle - 1), "muted")]
        lines.append([(cells[0][0] + cells[1][0] + " ", ""), (after, "")])
    return lines


def _said(example: Example) -> list[Part]:
    tone = "good" if example.passed else "bad" if example.passed is False else ""
    answer = answer_of(example.output)
    if not answer.strip():
        return [(said_by(example), tone)]
    pieces = word_diff(answer_of(example.reference), answer)
    if example.passed or not any(each.kind == "same" and each.text.strip() for each in pieces):
        return [(flat(answer, 1_000), tone)]
    return [
        (f"[{each.text}]" if each.kind == "extra" and each.text.strip() else each.text, tone)
        for each in pieces
        if each.kind != "missing"
    ]
