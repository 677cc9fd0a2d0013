"""One example as lines to read, with the loss of every token as a strip."""

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
"""A full bar: what a token costs that got one chance in 400."""

UNLIKELY, HOPELESS = math.log(2), math.log(10)
"""From these losses on, in nats, a token had less than one chance in two, or in ten."""

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
    """The token under the cursor, and what the models gave it; `views` begin with the one shown.

    Two lines whatever the token is: what is below does not move with the cursor.
    """
    shown = views[0][1].tokens
    text = shown[cursor][0]
    place: list[Span] = [
        (f"{cursor + 1} of {len(shown)}  ", "muted"),
        (f"'{flat(text, 50)}'", "strong"),
    ]
    told: list[Span] = []
    for name, losses in views:
        same = cursor < len(losses.tokens) and losses.tokens[cursor][0] == text
        value = losses.tokens[cursor][1] if same else None
        figures = f"{loss(value)} ({probability(number(value))})" if same else "other tokens"
        style = _style(value) if value is not None else "muted"
        told += [(f"{'  ' if told else ''}{name} ", "muted"), (figures, style)]
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


def _style(value: float | str) -> str:
    plain = _plain(value)
    return "bad" if plain >= HOPELESS else "warn" if plain >= UNLIKELY else ""


SAID = {
    "accepted": "accepted as correct",
    "bad_reference": "marked as a bad reference, not counted",
    "ambiguous": "marked as ambiguous, not counted",
}
Lines = list[list[Span]]

OTHERS_SHOWN = 5
"""Right answers beside the reference that are shown."""

PATH = 40
"""Evaluations of a run that are drawn, the last ones."""


def example_lines(
    dossier: ExampleDetail,
    whose: int,
    cursor: int,
    width: int,
    *,
    unfolds: bool = False,
    key: str = "",
) -> Lines:
    """The whole page; `whose` of the token losses, with the cursor on one of their tokens.

    Reasoning is one line, unless the page `unfolds` it; `key` is the key for that.
    """
    example = dossier.example
    lines: Lines = [_head(dossier)]
    lines += [
        [("why      ", "muted"), (f"{found.kind.words}: ", "strong"), (found.evidence, "")]
        for found in dossier.causes
    ]
    lines += [[], [("prompt   ", "muted"), (example.prompt, "")], []]
    reference, output = split_reasoning(example.reference), split_reasoning(example.output or "")
    answers = _answers(example, reference.answer, output.answer, dossier.outcome)
    for answer, text in zip(answers, (reference.reasoning, output.reasoning), strict=True):
        lines += _after_reasoning(answer, text, key, unfolds=unfolds)
        if answer is answers[0]:
            lines += _other_references(example)
    lines += [[], *_heat(dossier, whose, cursor, width), []]
    lines.append([("output   ", "muted"), (_generation(dossier), "")])
    if len(dossier.path.steps) > 1:
        lines.append(_path(dossier))
    if len(dossier.history) > 1:
        lines += [[], *_history(dossier)]
    if dossier.annotation.notes:
        lines += [[]]
        lines += [
            [("note     ", "muted"), (each.note, ""), (f"  {each.by}", "muted")]
            for each in dossier.annotation.notes
        ]
    return lines


def _head(dossier: ExampleDetail) -> list[Span]:
    example = dossier.example
    sign, style = OUTCOMES[dossier.outcome]
    parts: list[Span] = [(f"{sign} {dossier.outcome}", style)]
    if dossier.annotation.verdict:
        parts.append((f"  {FLAG} {SAID[dossier.annotation.verdict]}", "changed"))
    if dossier.shift is not Shift.UNKNOWN:
        recorded = "as recorded " if dossier.annotation.verdict else ""
        shift = dossier.shift.replace("-", " ")
        parts.append((f", {recorded}{shift} against {dossier.against}", ""))
    if example.score is not None and example.score not in (0.0, 1.0):
        parts.append((f"  score {example.score:.2f}", ""))
    parts.append((f"  loss {loss(example.loss)} a token", ""))
    parts.append((f" over {example.supervised_tokens} tokens", "muted"))
    return parts


def _other_references(example: Example) -> Lines:
    """The further answers that count as right; of many, the first."""
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
    """Both answers, with what differs in brackets where anything is the same."""
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


def _heat(dossier: ExampleDetail, whose: int, cursor: int, width: int) -> Lines:
    if not dossier.tokens:
        return [[("tokens   ", "muted"), ("their losses are not on this machine", "muted")]]
    shown = dossier.tokens[whose % len(dossier.tokens)]
    others = [each for each in dossier.tokens if each is not shown]
    heat = heat_lines(shown.tokens.tokens, cursor, max(20, width - 9))
    head: Span = (f"{_short(shown.name)[:8]:<9}", "muted")
    lines: Lines = [[head if not at else (" " * 9, ""), *line] for at, line in enumerate(heat)]
    if all(each.number != dossier.iteration for each in dossier.tokens):
        lines.insert(
            0, [("tokens   ", "muted"), ("its own losses are not on this machine", "muted")]
        )
    views = [(_short(each.name), each.tokens) for each in (shown, *others)]
    at = min(max(cursor, 0), len(shown.tokens.tokens) - 1)
    place, told = token_lines(views, at)
    return [*lines, [("token    ", "muted"), *place], [(" " * 9, ""), *told]]


def _short(name: str) -> str:
    """`iter 2` for `iteration 2`: three models stand in one line of 80 columns."""
    return flat(name).replace("iteration", "iter")


def _generation(dossier: ExampleDetail) -> str:
    example = dossier.example
    if example.output is None:
        return "nothing was generated"
    limit = f" of {dossier.max_new_tokens}" if dossier.max_new_tokens is not None else ""
    end = f"ended by the limit{limit}" if example.truncated else "ended by itself"
    cut = (
        f"; {example.prompt_cut} tokens of the prompt's start were cut"
        if example.prompt_cut
        else ""
    )
    count = example.output_tokens
    tokens = "" if count is None else f"{counted(count, 'token')}, "
    return f"{tokens}{end}{cut}"


def _path(dossier: ExampleDetail) -> list[Span]:
    """The loss over the run's evaluations, and what it came to."""
    path, told = dossier.path, learned(dossier.path)
    highest = max((each for each in path.losses if math.isfinite(each)), default=0.0) or 1.0
    bars = "".join(bar_of(each / highest) for each in path.losses[-PATH:])
    style = {"forgotten": "bad", "never learned": "warn"}.get(told, "")
    first, last = path.losses[0], path.losses[-1]
    return [
        ("run      ", "muted"),
        (bars, "eval"),
        (f"  loss {loss(first)} at step {path.steps[0]}, ", "muted"),
        (f"{loss(last)} at {path.steps[-1]}: ", "muted"),
        (told, style),
    ]


def _history(dossier: ExampleDetail) -> Lines:
    return [_then(each, is_this=each.point.number == dossier.iteration) for each in dossier.history]


def _then(then: PastOutcome, *, is_this: bool) -> list[Span]:
    moment = then.point
    outcome = Outcome.UNSCORED
    if moment.passed is not None:
        outcome = Outcome.PASSED if moment.passed else Outcome.FAILED
    sign, style = OUTCOMES[outcome]
    said = "" if then.output is None else flat(answer_of(then.output).strip(), 300) or "(empty)"
    new = "  under another reference than before" if moment.is_new_segment else ""
    return [
        (f"{'▸' if is_this else ' '} {moment.number:<3} ", "accent" if is_this else "muted"),
        (f"{sign} ", style),
        (f"{loss_text(moment.loss):>7}  ", "muted"),
        (said, ""),
        (new, "warn"),
    ]
