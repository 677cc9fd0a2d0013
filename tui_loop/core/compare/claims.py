"""Words the claims of a comparison, as far as its runs support them."""

from __future__ import annotations

from tui_loop.core.commands import command
from tui_loop.core.compare.comparison import SEED_NOISE, Comparison
from tui_loop.core.text import figures


def claim_words(result: Comparison) -> list[tuple[str, str]]:
    """Returns (subject, text) for each line; the line on the change has the claim."""
    lines: list[tuple[str, str]] = []
    if result.interval is not None:
        text = (
            f"{figures.points(result.interval)} points over {result.compared} examples: "
            f"{len(result.fixed)} fixed, {len(result.broken)} broken "
            f"(McNemar p = {result.p_value:.2g})"
        )
        lines.append(("score", text))
    if result.loss is not None:
        change = figures.loss_change(result.loss)
        lines.append(("loss", f"{change} a token over {result.loss_examples} examples"))
    if result.interval is None:
        return [("", "no scores to compare"), *lines]
    runs = result.replicates
    if result.claim == SEED_NOISE:
        text = f"both are runs of one config, so this is {SEED_NOISE}"
        if runs[0] > 1:
            text += f" ({runs[0]} runs of it, each with another seed)"
        return [*lines, ("no change:", text)]
    counted = f"{runs[0]} and {runs[1]} runs of these configs"
    lines.append(("the change:", f"{result.claim} ({counted})"))
    if min(runs) < 2 and result.a != 0:
        lines.append(
            (
                "",
                "the test compares these two models only; to tell a change from training noise: "
                + command("run", "--repeat", 2),
            )
        )
    return lines


def runs_text(result: Comparison) -> str:
    """Returns how many runs a comparison has: `one run of each`, `2 runs of 2, one of 7`."""
    before, after = result.replicates
    if not result.a:
        return "one run" if after == 1 else f"{after} runs"
    if before == after == 1:
        return "one run of each"
    parts = ["one run" if before == 1 else f"{before} runs", "one" if after == 1 else str(after)]
    return f"{parts[0]} of {result.a}, {parts[1]} of {result.b}"
