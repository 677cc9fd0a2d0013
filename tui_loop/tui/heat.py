"""Token losses as a line to look at: the text, and under every token a bar as high as its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import TokenLosses
from tui_loop.core.text.figures import loss
from tui_loop.tui.cells import flat, width_of
from tui_loop.tui.widgets.toned import Part

BARS = "▁▂▃▄▅▆▇█"
FULL_NATS = 6.0
"""A full bar: what a token costs that got one chance in 400."""

UNLIKELY, HOPELESS = math.log(2), math.log(10)
"""From these losses on, in nats, a token had less than one chance in two, or in ten."""

Token = tuple[str, float | str]


def heat_lines(tokens: Sequence[Token], cursor: int, width: int) -> list[list[Part]]:
    """Pairs of lines of at most `width` cells: tokens, and their bars. A cursor of -1 is none."""
    lines: list[list[Part]] = []
    texts: list[Part] = []
    bars: list[Part] = []
    used = 0
    for place, (raw, value) in enumerate(tokens):
        text = flat(raw, width) or "∅"
        size = width_of(text)
        if used + size > width and texts:
            lines += [texts, bars]
            texts, bars, used = [], [], 0
        tone = _tone(value)
        texts.append((text, "mark" if place == cursor else tone))
        bars.append((_bar(value) * size, tone or "muted"))
        used += size
    return [*lines, texts, bars] if texts else lines


def worst_first(tokens: Sequence[Token]) -> list[int]:
    """Places of the tokens, the highest loss first."""
    return sorted(range(len(tokens)), key=lambda place: -_plain(tokens[place][1]))


def token_lines(
    views: Sequence[tuple[str, TokenLosses]], cursor: int
) -> tuple[list[Part], list[Part]]:
    """The token under the cursor, and what the models gave it; `views` begin with the one shown.

    Two lines whatever the token is: what is below does not move with the cursor.
    """
    shown = views[0][1].tokens
    text = shown[cursor][0]
    place: list[Part] = [
        (f"{cursor + 1} of {len(shown)}  ", "muted"),
        (f"'{flat(text, 50)}'", "strong"),
    ]
    told: list[Part] = []
    for name, losses in views:
        same = cursor < len(losses.tokens) and losses.tokens[cursor][0] == text
        value = losses.tokens[cursor][1] if same else None
        figures = f"{loss(value)} ({probability(number(value))})" if same else "other tokens"
        tone = _tone(value) if value is not None else "muted"
        told += [(f"{'  ' if told else ''}{name} ", "muted"), (figures, tone)]
    return place, told


def probability(value: float | None) -> str:
    """What a loss in nats says of the chance that the token got."""
    if value is None or math.isnan(value):
        return "?"
    share = 100 * math.exp(-max(value, 0.0))
    if share >= 10:
        return f"{share:.0f}%"
    return f"{share:.1f}%" if share >= 0.1 else "<0.1%"


def _plain(value: float | str) -> float:
    plain = number(value)
    return math.inf if plain is None or math.isnan(plain) else plain


def bar_of(share: float) -> str:
    """A bar as high as a share in [0, 1]; what is not finite is a full one."""
    if not math.isfinite(share):
        return BARS[-1]
    return BARS[min(max(int(share * len(BARS)), 0), len(BARS) - 1)]


def _bar(value: float | str) -> str:
    return bar_of(_plain(value) / FULL_NATS)


def _tone(value: float | str) -> str:
    plain = _plain(value)
    return "bad" if plain >= HOPELESS else "warn" if plain >= UNLIKELY else ""
