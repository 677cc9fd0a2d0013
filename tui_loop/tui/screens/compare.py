"""Two iterations side by side: config, metrics, what can be claimed, fixed and broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui_loop.core.comparison import Comparison
from tui_loop.core.figures import loss, percent, points
from tui_loop.core.records import Example
from tui_loop.core.wording import brief
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.screens.reading import ReadingScreen
from tui_loop.tui.widgets.iterations import claim_tone
from tui_loop.tui.widgets.toned import Part

METRICS = ("train_loss", "eval_loss", "score", "macro_f1", "passed", "total", "steps")
PERCENT = ("score", "macro_f1")
LISTED = 200
"""Examples listed of each kind; the rest is counted."""


class CompareScreen(ReadingScreen):
    """A comparison to read."""

    def __init__(self, loop: str, result: Comparison, lines: Sequence[Sequence[Part]]) -> None:
        super().__init__(f"Compare {loop}/{result.b} against {result.a}", lines)


def compare_lines(
    result: Comparison, old: Mapping[str, Example], new: Mapping[str, Example]
) -> list[list[Part]]:
    """The comparison as lines; `old` and `new` hold the examples of both by id."""
    lines: list[list[Part]] = [[("note: ", "warn"), (each, "")] for each in result.notices]
    if lines:
        lines.append([])
    lines += _table("config", result, _config_rows(result) or [("nothing differs", "", "")])
    lines.append([])
    lines += _table("metric", result, _metric_rows(result))
    lines += [[], *_claim_lines(result)]
    for word, tone, ids in (("fixed", "good", result.fixed), ("broken", "bad", result.broken)):
        if ids:
            lines += [[], [(f"{word} {len(ids)}", tone)]]
            for name in ids[:LISTED]:
                lines += _example_lines(old[name], new[name])
            if len(ids) > LISTED:
                lines.append([(f"  and {len(ids) - LISTED} more", "muted")])
    return lines


def _table(head: str, result: Comparison, rows: Sequence[tuple[str, str, str]]) -> list[list[Part]]:
    width = max(len(row[0]) for row in [(head, "", ""), *rows]) + 2
    middle = max(len(row[1]) for row in [("", str(result.a), ""), *rows]) + 2
    middle = min(middle, 32)
    lines: list[list[Part]] = [
        [
            (fit(head, width), "strong"),
            (fit(str(result.a), middle), "strong"),
            (str(result.b), "strong"),
        ]
    ]
    for name, before, after in rows:
        lines.append([(fit(name, width), ""), (fit(before, middle), "muted"), (after, "")])
    return lines


def _config_rows(result: Comparison) -> list[tuple[str, str, str]]:
    return [
        (name, flat(brief(old), 200), flat(brief(new), 200))
        for name, (old, new) in result.config.items()
    ]


def _metric_rows(result: Comparison) -> list[tuple[str, str, str]]:
    return [
        (name, _figure(name, result.metrics[name][0]), _figure(name, result.metrics[name][1]))
        for name in METRICS
        if name in result.metrics and result.metrics[name] != (None, None)
    ]


def _figure(name: str, value: Any) -> str:
    if name in PERCENT:
        return percent(value)
    return loss(value) if isinstance(value, (float, str)) else "" if value is None else str(value)


def _claim_lines(result: Comparison) -> list[list[Part]]:
    if result.interval is None:
        return [[("no scores to compare", "muted")]]
    lines: list[list[Part]] = [
        [
            ("score ", ""),
            (f"{points(result.interval)} points", "strong"),
            (f" over {result.compared} examples: ", ""),
            (f"{len(result.fixed)} fixed, {len(result.broken)} broken ", ""),
            (f"(McNemar p = {result.p_value:.2g})", "muted"),
        ],
        [
            ("the change: ", ""),
            (result.claim, claim_tone(result) or "strong"),
            (
                f" ({result.replicates[0]} and {result.replicates[1]} runs of these configs)",
                "muted",
            ),
        ],
    ]
    if min(result.replicates) < 2 and result.a != 0:
        told = "the test sees these two models only; a run of each with another seed tells more"
        lines.append([(told, "muted")])
    return lines


def _example_lines(old: Example, new: Example) -> list[list[Part]]:
    return [
        [("  ", ""), (flat(new.prompt, 500), "")],
        [
            ("    wanted ", "muted"),
            (flat(new.reference, 200), ""),
            ("  was ", "muted"),
            (flat(old.output or "(empty)", 200), ""),
            ("  is ", "muted"),
            (flat(new.output or "(empty)", 200), ""),
        ],
    ]
