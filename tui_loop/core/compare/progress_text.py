"""Words the progress of a loop, the same for the screen and the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_loop.core.compare.best import BEST_SIGN, EARLIER_BEST_SIGN, Spread
from tui_loop.core.compare.progress import Pair, Point, Progress, Tried
from tui_loop.core.stats import Interval
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

NOTHING_YET = "no iteration has finished yet"

LOSS_ALONE = ("loss",)
"""What differs between iterations whose scores are comparable and whose losses are not."""


def mark_of(point: Point, progress: Progress) -> str:
    """Returns the sign of the best, of what was the best when it finished, or of `differs`."""
    if point.number == progress.best:
        return BEST_SIGN
    if point.is_new_best:
        return EARLIER_BEST_SIGN
    return "!" if point.differs else ""


MARKS = (
    f"{BEST_SIGN} the best, {EARLIER_BEST_SIGN} the best when it finished, "
    "! not comparable (evaluated differently)"
)


def best_words(progress: Progress) -> str:
    """Returns `the best so far is iteration 4 (max_steps 50 → 100): score 68%, eval loss 0.593`."""
    best = progress.config(progress.best) if progress.best is not None else None
    if best is None:
        return NOTHING_YET
    title = next(each.title for each in progress.points if each.number == best.number)
    return f"the best so far is iteration {best.number} ({title}): {_figures_text(best)}"


def pair_words(pair: Pair) -> str:
    """Returns `iteration 4 against 2, the runner-up: +21 ±15 points over 117 examples, ...`."""
    runs = f"runs per config: {pair.replicates[1]} and {pair.replicates[0]}"
    if pair.a == 0:
        runs = counted(pair.replicates[1], "run")
    elif pair.replicates == (1, 1):
        runs = "one run of each config"
    against = pair.about if pair.a == 0 else f"{pair.a}, {pair.about}"
    over = f"over {_examples(pair)}"
    return f"iteration {pair.b} against {against}: {_delta(pair)} {over}, {pair.claim} ({runs})"


def reach_words(pair: Pair) -> str:
    """Returns what would decide between a pair, "" where nothing is open."""
    reach = pair.reach
    if reach is None:
        return ""
    if pair.commands:
        lacking = [
            reach.runs - have for have in pair.replicates if reach.runs and reach.runs > have
        ]
        took = f" (about {figures.duration(pair.seconds)})" if pair.seconds else ""
        more = counted(sum(lacking), "more run")
        if reach.is_first:
            return f"{more} would show whether the difference is training noise{took}"
        return f"{more} should decide which is better{took}"
    if reach.examples:
        return (
            "more runs cannot decide which is better: the gap is within the noise of "
            f"{_examples(pair)}; about {_rounded(reach.examples)} examples would be enough"
        )
    return "the gap is too small to matter"


def replicate_words(progress: Progress) -> list[str]:
    """Returns the configs with runs under several seeds, one per line."""
    return [
        f"{_iterations(each.runs)} have the same config: {_figures_text(each)}"
        for each in progress.tried
        if len(each.runs) > 1
    ]


def otherwise_words(progress: Progress) -> str:
    """Returns which iterations are not comparable with the newest one, "" where all are."""
    by_parts: dict[tuple[str, ...], list[int]] = {}
    for each in progress.points:
        if each.differs:
            by_parts.setdefault(each.differs, []).append(each.number)
    by_tokens = by_parts.pop(LOSS_ALONE, [])
    listed = "; ".join(
        f"{_iterations(numbers)} ({', '.join(parts)})" for parts, numbers in by_parts.items()
    )
    texts = []
    if listed:
        texts.append(
            f"not comparable with the newest iteration, because evaluated differently: {listed}"
        )
    if by_tokens:
        texts.append(
            f"the eval loss of {_iterations(by_tokens)} is not comparable, because it is computed "
            "over different tokens"
        )
    return "; ".join(texts)


def differs_words(point: Point) -> str:
    """Returns how an iteration was evaluated differently from the newest one, "" if alike."""
    if point.differs == LOSS_ALONE:
        return (
            "eval loss over different tokens than in the newest iteration (data.train_on): losses "
            "are not comparable"
        )
    parts = ", ".join(point.differs)
    text = f"evaluated differently from the newest iteration ({parts}): not comparable"
    return text if parts else ""


def score_words(interval: Interval | None) -> str:
    """Returns `62% (53 to 70)`, "" without a score."""
    if interval is None:
        return ""
    if interval.low == interval.high:
        return figures.percent(interval.delta)
    low, high = 100 * interval.low, 100 * interval.high
    return f"{figures.percent(interval.delta)} ({low:.0f} to {high:.0f})"


def loss_words(interval: Interval | None) -> str:
    """Returns `1.204 (1.101 to 1.307)`, "" without a loss."""
    if interval is None:
        return ""
    if interval.low == interval.high:
        return figures.loss(interval.delta)
    low, high = figures.loss(interval.low), figures.loss(interval.high)
    return f"{figures.loss(interval.delta)} ({low} to {high})"


def config_words(point: Point) -> str:
    """Returns `= 4` for another run of an earlier config, else ""."""
    return f"= {point.config}" if point.config != point.number else ""


def _iterations(numbers: Sequence[int]) -> str:
    """Returns `iteration 4`, `iterations 4, 5`."""
    return f"iteration{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _figures_text(tried: Tried) -> str:
    parts = []
    if tried.score is not None:
        parts.append(f"score {figures.percent(tried.score.mean)}{_sd(tried.score, is_score=True)}")
    if tried.loss is not None:
        parts.append(f"eval loss {figures.loss(tried.loss.mean)}{_sd(tried.loss, is_score=False)}")
    return ", ".join(parts) or "no figures"


def _sd(spread: Spread, *, is_score: bool) -> str:
    if spread.deviation is None:
        return ""
    text = f"{100 * spread.deviation:.1f} points" if is_score else f"{spread.deviation:.3f}"
    return f" (sd {text} over {spread.runs} runs)"


def _delta(pair: Pair) -> str:
    if pair.by_loss:
        return f"{figures.loss_change(pair.interval)} nats per token"
    return f"{figures.points(pair.interval)} points"


def _examples(pair: Pair) -> str:
    if pair.groups:
        return figures.examples(pair.compared, pair.groups, pair.unit)
    return counted(pair.compared, "example")


def _rounded(count: int) -> str:
    """Rounds up to two significant digits: 339 to 340."""
    size = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return str(math.ceil(count / size) * size)
