"""An example as lines to read, with the loss of every token as a strip of bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_loop.core.examples.example_detail import ExampleDetail, PastOutcome, learned
from tui_loop.core.examples.history import Outcome, Shift
from tui_loop.core.reasoning import answer_of, split_reasoning
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Example, TokenLosses
from tui_loop.core.text.figures import counted, loss
from tui_loop.core.text.similarity import word_diff
from tui_loop.tui.cells import flat, width_of
from tui_loop.tui.widgets.example_list import FLAG, OUTCOMES, loss_text
from tui_loop.tui.widgets.styled_lines import Span

BARS = "▁▂▃▄▅▆▇█"
FULL_NATS = 6.0
"""The loss of a full bar: the token had a probability of 1 in 400."""

UNLIKELY, HOPELESS = math.log(2), math.log(10)
"""Losses in nats of tokens with a probability of 1 in 2, and of 1 in 10."""

Token = tuple[str, float | str]


def heat_lines(tokens: Sequence[Token], cursor: int, width: int) -> list[list[Span]]:
    """Pairs of lines of at most `width` cells: tokens, and their bars. A cursor of -1 is none."""
    lines: list[list[Span]] = []
    texts: list[Span] = []
    bars: list[Span] = []
    used = 0
    for place, (raw, value) in enumerate(tokens):
        text = flat(raw, width) or "∅"
        size = width_of(text)
        if used + size > width and texts:
            lines += [texts, bars]
            texts, bars, used = [], [], 0
        style = _style(value)
        texts.append((text, "mark" if place == cursor else style))
        bars.append((_bar(value) * size, style or "muted"))
        used += size
    return [*lines, texts, bars] if texts else lines


def worst_first(tokens: Sequence[Token]) -> list[int]:
    """Places of the tokens, the highest loss first."""
    return sorted(range(len(tokens)), key=lambda place: -_plain(tokens[place][1]))


def token_lines(
    views: Sequence[tuple[str, TokenLosses]], cursor: int
) -> tuple[list[Span], list[Span]]:
    """The token under the cursor, and its loss under each model; the first of `views` is shown.

    Always two lines, so that the cursor does not move what is below.
    """
    shown = views[0][1].tokens
    text = shown[cursor][0]
    place: list[Span] = [
        (f"{cursor + 1} of {len(shown)}  ", "muted"),
        (f"'{flat(text, 50)}'", "strong"),
    ]
    values: list[Span] = []
    for name, losses in views:
        same = cursor < len(losses.tokens) and losses.tokens[cursor][0] == text
        value = losses.tokens[cursor][1] if same else None
        figures = f"{loss(value)} ({probability(number(value))})" if same else "other tokens"
        style = _style(value) if value is not None else "muted"
        values += [(f"{'  ' if values else ''}{name} ", "muted"), (figures, style)]
    return place, values


def probability(value: float | None) -> str:
    """Returns the probability of a token with this loss in nats, as text."""
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


def _style(value: float | str) -> str:
    plain = _plain(value)
    return "bad" if plain >= HOPELESS else "warn" if plain >= UNLIKELY else ""


ANNOTATION_TEXTS = {
    "accepted": "accepted as correct",
    "bad_reference": "marked as a bad reference, not counted",
    "ambiguous": "marked as ambiguous, not counted",
}
Lines = list[list[Span]]

OTHERS_SHOWN = 5
"""Most accepted answers that are shown beside the reference."""

PATH = 40
"""Most evaluations of a run that are drawn, the newest ones."""


def example_lines(
    detail: ExampleDetail,
    whose: int,
    cursor: int,
    width: int,
    *,
    unfolds: bool = False,
    key: str = "",
) -> Lines:
    """All lines of the page; `whose` is the index of the shown token losses, `cursor` a token.

    Reasoning is one line, unless the page `unfolds` it; `key` is the key that does.
    """
    example = detail.example
    lines: Lines = [_head(detail)]
    lines += [
        [("why      ", "muted"), (f"{found.kind.words}: ", "strong"), (found.evidence, "")]
        for found in detail.causes
    ]
    lines += [[], [("prompt   ", "muted"), (example.prompt, "")], []]
    reference, output = split_reasoning(example.reference), split_reasoning(example.output or "")
    answers = _answers(example, reference.answer, output.answer, detail.outcome)
    for answer, text in zip(answers, (reference.reasoning, output.reasoning), strict=True):
        lines += _after_reasoning(answer, text, key, unfolds=unfolds)
        if answer is answers[0]:
            lines += _other_references(example)
    lines += [[], *_heat(detail, whose, cursor, width), []]
    lines.append([("output   ", "muted"), (_generation(detail), "")])
    if len(detail.path.steps) > 1:
        lines.append(_path(detail))
    if len(detail.history) > 1:
        lines += [[], *_history(detail)]
    if detail.annotation.notes:
        lines += [[]]
        lines += [
            [("note     ", "muted"), (each.note, ""), (f"  {each.by}", "muted")]
            for each in detail.annotation.notes
        ]
    return lines


def _head(detail: ExampleDetail) -> list[Span]:
    example = detail.example
    sign, style = OUTCOMES[detail.outcome]
    parts: list[Span] = [(f"{sign} {detail.outcome}", style)]
    if detail.annotation.verdict:
        parts.append((f"  {FLAG} {ANNOTATION_TEXTS[detail.annotation.verdict]}", "changed"))
    if detail.shift is not Shift.UNKNOWN:
        recorded = "as recorded " if detail.annotation.verdict else ""
        shift = detail.shift.replace("-", " ")
        parts.append((f", {recorded}{shift} vs iteration {detail.against}", ""))
    if example.score is not None and example.score not in (0.0, 1.0):
        parts.append((f"  score {example.score:.2f}", ""))
    parts.append((f"  loss {loss(example.loss)} a token", ""))
    parts.append((f" over {example.supervised_tokens} tokens", "muted"))
    return parts


def _other_references(example: Example) -> Lines:
    """The other accepted answers; of many, the first."""
    others = example.other_references
    lines: Lines = [[("or       ", "muted"), (other, "")] for other in others[:OTHERS_SHOWN]]
    if len(others) > OTHERS_SHOWN:
        more = counted(len(others) - OTHERS_SHOWN, "other right answer")
        lines.append([("         ", ""), (f"and {more}", "muted")])
    return lines


def _after_reasoning(answer: list[Span], text: str, key: str, *, unfolds: bool) -> Lines:
    """Returns the line of an answer after one on its reasoning, or after the text of that."""
    if not text:
        return [answer]
    label, *parts = answer
    blank = (" " * len(label[0]), "")
    words = f"reasoning: {counted(len(text.split()), 'word')}"
    lines: Lines = [[label, (f"{words}   {key} {'folds' if unfolds else 'unfolds'}", "muted")]]
    if unfolds:
        lines += [[blank, (text, "")], []]
    return [*lines, [blank, *parts]]


def _answers(example: Example, reference: str, output: str, outcome: Outcome) -> Lines:
    """Reference and output; where they share any text, brackets mark the differences."""
    if example.output is None:
        return [
            [("wanted   ", "muted"), (reference, "")],
            [("said     ", "muted"), ("(nothing was generated)", "muted")],
        ]
    pieces = word_diff(reference, output)
    is_mixed = any(each.kind == "same" and each.text.strip() for each in pieces)
    is_failed = outcome is Outcome.FAILED
    wanted: list[Span] = [("wanted   ", "muted")]
    said: list[Span] = [("said     ", "muted")]
    for piece in pieces:
        marked = f"[{piece.text}]" if is_mixed and piece.text.strip() else piece.text
        match piece.kind:
            case "same":
                wanted.append((piece.text, ""))
                said.append((piece.text, ""))
            case "missing":
                wanted.append((marked, "good"))
            case _:
                said.append((marked, "bad" if is_failed else ""))
    if not output.strip():
        said.append(("(empty)", "bad" if is_failed else "muted"))
    return [wanted, said]


def _heat(detail: ExampleDetail, whose: int, cursor: int, width: int) -> Lines:
    if not detail.tokens:
        return [[("tokens   ", "muted"), ("the token losses are not on this machine", "muted")]]
    shown = detail.tokens[whose % len(detail.tokens)]
    others = [each for each in detail.tokens if each is not shown]
    heat = heat_lines(shown.tokens.tokens, cursor, max(20, width - 9))
    head: Span = (f"{_short(shown.name)[:8]:<9}", "muted")
    lines: Lines = [[head if not at else (" " * 9, ""), *line] for at, line in enumerate(heat)]
    if all(each.number != detail.iteration for each in detail.tokens):
        lines.insert(
            0,
            [
                ("tokens   ", "muted"),
                ("this iteration's token losses are not on this machine", "muted"),
            ],
        )
    views = [(_short(each.name), each.tokens) for each in (shown, *others)]
    at = min(max(cursor, 0), len(shown.tokens.tokens) - 1)
    place, values = token_lines(views, at)
    return [*lines, [("token    ", "muted"), *place], [(" " * 9, ""), *values]]


def _short(name: str) -> str:
    """`iter 2` for `iteration 2`, so that three models fit into 80 columns."""
    return flat(name).replace("iteration", "iter")


def _generation(detail: ExampleDetail) -> str:
    example = detail.example
    if example.output is None:
        return "nothing was generated"
    limit = f" of {detail.max_new_tokens}" if detail.max_new_tokens is not None else ""
    end = f"stopped at the limit{limit}" if example.truncated else "ended before the limit"
    cut = (
        f"; {example.prompt_cut} tokens were cut from the start of the prompt"
        if example.prompt_cut
        else ""
    )
    count = example.output_tokens
    tokens = "" if count is None else f"{counted(count, 'token')}, "
    return f"{tokens}{end}{cut}"


def _path(detail: ExampleDetail) -> list[Span]:
    """The loss over the run's evaluations, and whether the example was learned."""
    path, result = detail.path, learned(detail.path)
    highest = max((each for each in path.losses if math.isfinite(each)), default=0.0) or 1.0
    bars = "".join(bar_of(each / highest) for each in path.losses[-PATH:])
    style = {"forgotten": "bad", "never learned": "warn"}.get(result, "")
    first, last = path.losses[0], path.losses[-1]
    return [
        ("run      ", "muted"),
        (bars, "eval"),
        (f"  loss {loss(first)} at step {path.steps[0]}, ", "muted"),
        (f"{loss(last)} at {path.steps[-1]}: ", "muted"),
        (result, style),
    ]


def _history(detail: ExampleDetail) -> Lines:
    return [_past(each, is_this=each.point.number == detail.iteration) for each in detail.history]


def _past(past: PastOutcome, *, is_this: bool) -> list[Span]:
    point = past.point
    outcome = Outcome.UNSCORED
    if point.passed is not None:
        outcome = Outcome.PASSED if point.passed else Outcome.FAILED
    sign, style = OUTCOMES[outcome]
    said = "" if past.output is None else flat(answer_of(past.output).strip(), 300) or "(empty)"
    new = "  with a new reference" if point.is_new_segment else ""
    return [
        (f"{'▸' if is_this else ' '} {point.number:<3} ", "accent" if is_this else "muted"),
        (f"{sign} ", style),
        (f"{loss_text(point.loss):>7}  ", "muted"),
        (said, ""),
        (new, "warn"),
    ]
