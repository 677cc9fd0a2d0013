"""Rows that were cut: training rows by `training.max_length`, held-out ones by the evaluation's.

truncated_inputs  training rows lost tokens, or were left out since no trained token was left; or
                  the start of held-out prompts was cut off, for their loss or for their output.

Records made before a run counted its cut rows say it by a warning in the journal, and by rows that
are on average about as long as the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Figure, Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.learned import hardest
from tui_loop.core.diagnosis.rules.telling import chance, ids_of
from tui_loop.core.examples.table import FAILED, UNSCORED
from tui_loop.core.stats import fisher_greater
from tui_loop.core.text.figures import counted, of_all

WORTH = 0.05
"""Below this share of the rows cutting is usual, and to know; from here on worth acting on."""

MOST = 0.5
"""With more than this share of the rows left out, the run trained on another data set."""

FULL = 0.9
"""Rows that fill this share of the limit on average are cut: lengths of texts vary by more."""

_NONE_LEFT = "no row keeps a trained token"
_LEFT_OUT = re.compile(r"(\d{1,12}) training rows have no trained token within \d+ tokens")


def truncated_inputs(case: Case) -> Iterator[Finding]:
    if case.number:
        yield from _training(case)
        yield from _held_out(case)


def _training(case: Case) -> Iterator[Finding]:
    limit = case.config.training.max_length if case.config is not None else None
    rows, cut = case.metric("train_rows"), case.metric("train_rows_cut")
    if limit is not None and _NONE_LEFT in str((case.iteration.error or {}).get("message")):
        yield Finding(
            FindingKind.TRUNCATED_INPUTS,
            "alarm",
            f"no training row keeps a trained token within training.max_length {limit}: there was "
            "nothing to train on",
            {"max_length": limit},
            otherwise="a template that puts long text before every answer has the same effect",
        )
        return
    if limit is None or not rows:
        return
    if cut is None:
        yield from _told_by_the_journal(case, limit, int(rows))
        return
    if cut <= 0:
        return
    dropped, longest = case.metric("train_rows_dropped") or 0, case.metric("train_row_longest") or 0
    message = f"training.max_length {limit} cuts {of_all(int(cut), int(rows), 'training rows')}"
    if dropped:
        message += (
            f", and {dropped:,.0f} of them have no trained token left and were not trained on"
        )
    elif (case.config and case.config.other.get("truncation_mode")) != "keep_end":
        message += ", which lose the end of their answer"
    if longest:
        message += f"; the longest has {longest:,.0f} tokens"
    yield Finding(
        FindingKind.TRUNCATED_INPUTS,
        _severity(cut / rows, dropped / rows),
        message,
        {
            "max_length": limit,
            "rows_cut": int(cut),
            "rows_left_out": int(dropped),
            "train_rows": int(rows),
            "longest_row": int(longest),
        },
    )


def _severity(cut: float, left_out: float) -> Severity:
    if left_out > MOST:
        return "alarm"
    return "warning" if cut >= WORTH else "note"


def _told_by_the_journal(case: Case, limit: int, rows: int) -> Iterator[Finding]:
    """What records say that do not count the rows that were cut."""
    if case.config is None or case.config.training.packing:
        return
    told = [
        match
        for line in case.run.lines
        if line.source == "training" and (match := _LEFT_OUT.match(line.text))
    ]
    dropped = int(told[-1][1]) if told else 0
    tokens, epochs = case.run.latest("num_tokens"), case.metric("epochs")
    kept = max(0, rows - dropped)
    mean = tokens / (epochs * kept) if tokens and epochs and kept else 0.0
    is_full = FULL * limit <= mean <= limit
    if not dropped and not is_full:
        return
    message = f"training.max_length {limit} "
    figures: dict[str, Figure] = {"max_length": limit, "train_rows": rows}
    if dropped:
        message += f"leaves {of_all(dropped, rows, 'training rows')} without a trained token: they "
        message += "were not trained on"
        figures["rows_left_out"] = dropped
    if is_full:
        message += "; those left have " if dropped else "cuts most training rows: they have "
        message += f"{mean:.1f} tokens on average, as good as the limit"
        figures["tokens_a_row"] = round(mean, 1)
    yield Finding(
        FindingKind.TRUNCATED_INPUTS,
        _severity(1.0 if is_full else dropped / rows, dropped / rows),
        message,
        figures,
        otherwise="" if dropped else "rows that all have the same length, just below the limit",
    )


def _held_out(case: Case) -> Iterator[Finding]:
    view = case.view
    if view is None:
        return
    cut = [row for row, example in enumerate(view.table) if example.prompt_cut > 0]
    in_loss = int(case.metric("eval_rows_cut") or 0)
    total = len(view)
    count = max(len(cut), in_loss)
    if not count:
        return
    message = f"the start of {of_all(count, total, 'held-out prompts')} is cut off"
    figures: dict[str, Figure] = {"rows_cut": count, "total": total, "cut_for_loss": in_loss}
    limit = case.config.evaluation.max_length if case.config is not None else None
    if limit is not None:
        figures["max_length"] = limit
        message += f" by evaluation.max_length {limit}"
    message += ": their loss" if in_loss else ": their output"
    message += " is that of a part of them"
    scored = [row for row in cut if view.passed[row] != UNSCORED]
    failed = sum(view.passed[row] == FAILED for row in scored)
    all_failed, all_scored = view.passed.count(FAILED), total - view.passed.count(UNSCORED)
    elsewhere = all_failed - failed, all_scored - len(scored)
    if scored and elsewhere[1]:
        p = fisher_greater(failed, len(scored), *elsewhere)
        message += f"; of {counted(len(scored), 'such prompt')} {failed} fail, of the others "
        message += f"{elsewhere[0]} of {elsewhere[1]} ({chance(p)})"
        figures |= {"failed": failed, "elsewhere_failed": elsewhere[0], "p": p}
    yield Finding(
        FindingKind.TRUNCATED_INPUTS,
        "warning" if count >= WORTH * total else "note",
        message,
        figures,
        examples=ids_of(case, hardest(case, cut)),
        otherwise="long prompts may be harder anyway",
    )


RULES = (truncated_inputs,)
