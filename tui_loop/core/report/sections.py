"""A report as a document: what a reader wants first comes first."""

from __future__ import annotations

from collections.abc import Sequence

from tui_loop.core.compare.best import mean_metrics
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion
from tui_loop.core.diagnosis.wording import (
    GLYPHS,
    expected,
    kind_words,
    tried_already,
    verdict_words,
)
from tui_loop.core.record.codec import number as number_of
from tui_loop.core.report.document import (
    Block,
    Document,
    Fields,
    Heading,
    Items,
    Link,
    Paragraph,
    Quote,
    Raw,
    Table,
    Text,
    TrailChart,
    TrailPoint,
)
from tui_loop.core.report.facts import CELL, GROUPS, Counted, Failure, Open, Report, Told
from tui_loop.core.report.iterations import spans, state_words, stories, when
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.text.untrusted import one_line


def document_of(report: Report) -> Document:
    """The whole report."""
    blocks: list[Block] = [
        Heading(1, f"{report.name}: report of the loop"),
        *overview(report),
        *iterations(report),
        *findings(report),
        *failing(report),
        *stories(report),
        *_looks(report),
        *_data(report),
        *_environments(report),
        *_record(report),
    ]
    return Document(title=f"{report.name}: report", maker=report.made_by, blocks=tuple(blocks))


def _looks(report: Report) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Looks at the holdout", "holdout")]
    if not report.holdout_evaluations:
        has_one = any(each.split == "holdout" for each in report.data)
        text = "The holdout has not been evaluated." if has_one else "The loop has no holdout."
        return [*blocks, Paragraph(text)]
    rows = tuple(
        (
            str(look.use),
            str(look.iteration),
            figures.percent(look.score),
            "" if look.passed is None else f"{look.passed} of {look.total}",
            figures.loss(look.loss),
            figures.percent(look.eval.score),
            figures.percent(look.base.score),
            when(look.t),
        )
        for look in report.holdout_evaluations[-GROUPS:]
    )
    names = ("look", "iteration", "score", "passed", "loss", "eval score", "base score", "when")
    count = counted(len(report.holdout_evaluations), "holdout evaluation")
    text = f"{count} by this loop. With each one the holdout becomes more like an evaluation set."
    return [*blocks, Paragraph(text), Table(names, rows, right=(2, 3, 4, 5, 6))]


def _data(report: Report) -> list[Block]:
    if not report.data:
        return []
    shown = report.data[-2 * GROUPS :]
    rows = tuple(
        (
            each.split,
            Raw(each.path),
            f"{each.rows:,}",
            Raw(each.sha256[:12]) if each.sha256 else "",
            spans(each.iterations),
        )
        for each in shown
    )
    blocks: list[Block] = [Heading(2, "Data", "data")]
    if len(shown) < len(report.data):
        blocks.append(Paragraph(f"{len(report.data) - len(shown)} older versions left out."))
    return [*blocks, Table(("split", "file", "rows", "SHA-256", "iterations"), rows, right=(2,))]


def _environments(report: Report) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Environment", "environment")]
    for each in report.environments[-GROUPS:]:
        versions = ", ".join(f"{name} {value}" for name, value in each.versions.items())
        rows: list[tuple[str, Text]] = [
            ("Iterations", spans(each.iterations)),
            ("Device", one_line(", ".join(filter(None, (each.device, each.dtype))), CELL)),
            ("Versions", one_line(versions, 1000)),
        ]
        blocks.append(Fields(tuple(row for row in rows if row[1])))
    if len(blocks) == 1:
        blocks.append(Paragraph("Nothing was recorded of it."))
    return blocks


def _record(report: Report) -> list[Block]:
    numbers = [each.iteration.number for each in report.iterations]
    made = (
        f"Made by {report.made_by} from the record of {counted(len(numbers), 'iteration')}"
        f"{f' ({spans(numbers)})' if numbers else ''}"
        f"{f'; the newest run ended {when(report.ended_at)}' if report.ended_at else ''}. "
        "The same record gives the same report."
    )
    blocks: list[Block] = [Heading(2, "Where this is from", "record"), Paragraph(made)]
    if report.left_out:
        blocks += [Paragraph("Left out:"), Items(tuple(map(one_line, report.left_out)))]
    return blocks


TABLE_ROWS = 1000

CLAIMS = (
    "The score's difference to the parent is in percentage points with half its 95% interval. "
    "'better' and 'worse' rest on runs of both configs under several seeds; with a question mark "
    "the two models differ, but training noise alone may have done it; 'noise': the same config "
    "under another seed. ★ is the best so far: the config with the best mean over its runs, "
    "marked at the first of them."
)


def overview(report: Report) -> list[Block]:
    """Goal, model, metric, where it stands."""
    rows: list[tuple[str, Text]] = [("Goal", one_line(report.goal) or "not stated")]
    rows.append(("Model", one_line(report.model)))
    rows.append(("Metric", one_line(report.metric).replace("_", " ")))
    rows.append(("Iterations", _iterations(report)))
    if report.best is not None:
        best = next(each for each in report.iterations if each.iteration.number == report.best)
        rows.append(("Best so far", _best(best)))
        if len(report.best_runs) > 1:
            rows.append(("Over its runs", _over_runs(report)))
    if report.closed is not None:
        at = "" if report.closed.iteration is None else f" at {report.closed.iteration}"
        rows.append((f"Closed{at}", one_line(report.closed.why)))
    rows.append(("Newest run ended", when(report.ended_at) or "not yet"))
    return [Fields(tuple(rows))]


def _iterations(report: Report) -> str:
    """`3 (2 finished, 1 failed), and the base`."""
    counts: dict[str, int] = {}
    trained = [each.iteration for each in report.iterations if each.iteration.number > 0]
    for iteration in trained:
        counts[iteration.state] = counts.get(iteration.state, 0) + 1
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    text = f"{len(trained)} ({states})" if trained else "none yet"
    return f"{text}, and the base" if len(trained) < len(report.iterations) else text


def _best(best: Told) -> str:
    metrics = best.iteration.metrics
    parts = [f"{best.iteration.number}, {one_line(best.iteration.title)}"]
    if (interval := best.score_interval) is not None:
        parts.append(
            f"score {figures.percent(interval.delta)} "
            f"(95% interval {figures.percent(interval.low)} to {figures.percent(interval.high)}, "
            f"{metrics['passed']} of {metrics['total']})"
        )
    elif metrics.get("score") is not None:
        parts.append(f"score {figures.percent(metrics['score'])}")
    if metrics.get("eval_loss") is not None:
        parts.append(f"eval loss {figures.loss(metrics['eval_loss'])} nats a token")
    return "; ".join(parts)


def _over_runs(report: Report) -> str:
    """What the best config reached on the average of its runs."""
    runs = [e.iteration for e in report.iterations if e.iteration.number in report.best_runs]
    metrics = mean_metrics(runs)
    parts = [
        f"{name} {text} on average"
        for name, text in (
            ("score", figures.percent(metrics.get("score"))),
            ("eval loss", figures.loss(metrics.get("eval_loss"))),
        )
        if text
    ]
    numbers = ", ".join(map(str, report.best_runs[:-1]))
    return f"{numbers} and {report.best_runs[-1]}: {', '.join(parts)}"


def iterations(report: Report) -> list[Block]:
    """The table of all iterations, and what score and loss did over them."""
    blocks: list[Block] = [Heading(2, "Iterations", "iterations")]
    if not report.iterations:
        return [*blocks, Paragraph("There are no iterations yet.")]
    shown = report.iterations[-TABLE_ROWS:]
    if len(shown) < len(report.iterations):
        hidden = len(report.iterations) - len(shown)
        blocks.append(Paragraph(f"{counted(hidden, 'older iteration')} left out of this table."))
    names = (
        *("#", "from", "change", "train loss", "eval loss", "score", "vs parent", "state"),
        *("verdict", "why"),
    )
    rows = [_row(each, report.best) for each in shown]
    used = [at for at in range(len(names)) if any(row[at] for row in rows)]
    blocks.append(
        Table(
            tuple(names[at] for at in used),
            tuple(tuple(row[at] for at in used) for row in rows),
            right=tuple(place for place, at in enumerate(used) if at in (3, 4, 5, 6)),
        )
    )
    if any(each.against is not None for each in shown):
        blocks.append(Paragraph(CLAIMS, "muted"))
    blocks += [chart for chart in (_score_chart(report), _loss_chart(report)) if chart is not None]
    return blocks


def _row(told: Told, best: int | None) -> tuple[Text | Link, ...]:
    iteration = told.iteration
    metrics = iteration.metrics
    number = f"{iteration.number}{' ★' if iteration.number == best else ''}"
    return (
        number if told.story is None else Link(number, f"iteration-{iteration.number}"),
        "" if iteration.parent is None else str(iteration.parent),
        one_line(iteration.title, CELL),
        figures.loss(metrics.get("train_loss")),
        figures.loss(metrics.get("eval_loss")),
        figures.percent(metrics.get("score")),
        told.against.brief if told.against is not None else "",
        state_words(iteration),
        one_line(verdict_words(iteration.verdict)[1], CELL),
        one_line(iteration.decision, CELL),
    )


def _score_chart(report: Report) -> TrailChart | None:
    points = []
    for each in report.iterations[-TABLE_ROWS:]:
        score = number_of(each.iteration.metrics.get("score"))
        if score is not None and 0 <= score <= 1:
            bounds = each.score_interval
            low, high = (None, None) if bounds is None else (bounds.low, bounds.high)
            points.append(TrailPoint(each.iteration.number, score, low, high))
    title = "Score over the iterations"
    if any(point.low is not None for point in points):
        title += ", with its 95% interval over examples"
    return _trail(report, title, points, is_share=True)


def _loss_chart(report: Report) -> TrailChart | None:
    points = []
    for each in report.iterations[-TABLE_ROWS:]:
        loss = number_of(each.iteration.metrics.get("eval_loss"))
        if loss is not None and abs(loss) < 1e9:  # NaN is not
            points.append(TrailPoint(each.iteration.number, loss))
    return _trail(report, "Eval loss over the iterations, nats a token", points, is_share=False)


def _trail(
    report: Report, title: str, points: list[TrailPoint], *, is_share: bool
) -> TrailChart | None:
    if len(points) < 2:
        return None
    known = {point.number for point in points}
    numbers = [each.iteration.number for each in report.iterations[-TABLE_ROWS:]]
    without = tuple(number for number in numbers if number not in known)
    return TrailChart(title, tuple(points), without, report.best, is_share)


def failing(report: Report) -> list[Block]:
    """By cause, by label and by group, and the worst in full."""
    blocks: list[Block] = []
    for each in report.open:
        heading = f"What fails in {each.number}, {each.role}"
        blocks.append(Heading(2, heading, f"failures-{each.number}"))
        blocks += _open(each)
    return blocks


def _open(found: Open) -> list[Block]:
    if found.unread:
        return [Paragraph(f"Its examples cannot be read: {one_line(found.unread)}", "bad")]
    if not found.total:
        return [Paragraph("Nothing was scored: the metric is none.")]
    blocks: list[Block] = [Paragraph(f"{found.failed} of {found.total} examples fail.")]
    if found.judged:
        blocks.append(Paragraph(f"As people judged it: {found.judged}."))
    blocks += _table("cause", found.causes)
    blocks += _table("label", found.labels)
    blocks += _table("label taken for another", found.confusions)
    blocks += _table("group that fails more than chance would have it", found.weak)
    if found.worst:
        text = "The failures with the highest loss:"
        if len(found.worst) < found.failed:
            text = f"The {counted(len(found.worst), 'failure')} with the highest loss:"
        blocks.append(Paragraph(text))
        for each in found.worst:
            blocks += _failure(each)
    return blocks


def _table(name: str, counts: Sequence[Counted]) -> list[Block]:
    if not counts:
        return []
    has_notes = any(each.note for each in counts)
    head = (name, "fail", "in detail") if has_notes else (name, "fail")
    rows = tuple(
        (one_line(each.name, CELL), str(each.count), one_line(each.note, CELL))[: len(head)]
        for each in counts
    )
    blocks: list[Block] = [Table(head, rows, right=(1,))]
    if len(counts) == GROUPS:
        blocks.append(Paragraph(f"The first {GROUPS} are listed.", "muted"))
    return blocks


def _failure(each: Failure) -> list[Block]:
    parts = [f"example {one_line(each.id, 80)}"]
    if each.loss is not None:
        parts.append(f"loss {figures.loss(each.loss)} nats a token")
    if each.causes:
        parts.append(", ".join(map(one_line, each.causes)))
    texts = (("prompt", each.prompt), ("wanted", each.reference), ("said", each.output))
    return [Fields((("Failed", "; ".join(parts)),)), Quote(texts)]


def findings(report: Report) -> list[Block]:
    """Findings, suggestions and verdict of each, the newest iteration first."""
    blocks: list[Block] = [Heading(2, "Diagnosis of the newest iterations", "diagnosis")]
    for each in report.diagnoses:
        blocks.append(Heading(3, f"Diagnosis of {each.number}"))
        blocks += _diagnosis(each)
    if not report.diagnoses:
        blocks.append(Paragraph("No iteration has ended yet."))
    return blocks


def _diagnosis(found: Diagnosis) -> list[Block]:
    blocks: list[Block] = []
    if found.findings:
        blocks.append(Items(tuple(map(_finding, found.findings[:GROUPS]))))
    else:
        blocks.append(Paragraph("Nothing found.", "muted"))
    if found.suggestions:
        blocks.append(Paragraph("What to try next, the best first:"))
        blocks.append(Items(tuple(map(_suggestion, found.suggestions[:GROUPS]))))
    if found.verdict is not None:
        verdict = found.verdict
        sign, _, told = verdict_words(verdict.word)
        blocks.append(Paragraph(f"{sign} {told}. {one_line(verdict.sentence)}"))
    return blocks


def _finding(each: Finding) -> str:
    text = f"{GLYPHS[each.severity]} {each.severity}, {kind_words(each.kind)}: "
    text += sentence(one_line(each.message, 1000))
    if each.otherwise:
        text += f" But: {sentence(one_line(each.otherwise, 500))}"
    return text


def _suggestion(each: Suggestion) -> str:
    told = sentence(one_line(each.action, 500))
    pairs = {field: f"{brief(old)} → {brief(new)}" for field, (old, new) in each.changes.items()}
    if any(pair not in each.action for pair in pairs.values()):
        sets = ", ".join(f"{field} {pair}" for field, pair in pairs.items())
        told += f" Sets {one_line(sets, 500)}."
    if each.expects is not None:
        told += f" It {expected(each.expects)}."
    told += f" Confidence {each.confidence}{': ' if each.ground else ''}"
    told += sentence(one_line(each.ground, 500)) if each.ground else "."
    if each.record:
        told += f" {sentence(one_line(each.record, 300))}"
    if each.tried:
        told += f" {sentence(tried_already(each).capitalize())}"
    return told


def sentence(text: str) -> str:
    """The text with a stop at its end."""
    return text if not text or text[-1] in ".!?:…" else f"{text}."
