"""What a loop is after and how far it got: its head, the table of iterations, two charts."""

from __future__ import annotations

from tui_loop.core.compare.best import mean_metrics
from tui_loop.core.diagnosis.wording import verdict_words
from tui_loop.core.record.codec import number as number_of
from tui_loop.core.report.document import (
    Block,
    Fields,
    Heading,
    Link,
    Paragraph,
    Table,
    Text,
    TrailChart,
    TrailPoint,
)
from tui_loop.core.report.facts import CELL, Report, Told
from tui_loop.core.report.words import state_words, when
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

TABLE_ROWS = 1000

CLAIMS = (
    "The score's difference to the parent is in percentage points with half its 95% interval. "
    "'better' and 'worse' rest on runs of both configs under several seeds; with a question mark "
    "the two models differ, but training noise alone may have done it; 'noise': the same config "
    "under another seed. ★ is the best so far: the config with the best mean over its runs, "
    "marked at the first of them."
)


def head(report: Report) -> list[Block]:
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
    told = f"{len(trained)} ({states})" if trained else "none yet"
    return f"{told}, and the base" if len(trained) < len(report.iterations) else told


def _best(best: Told) -> str:
    metrics = best.iteration.metrics
    told = [f"{best.iteration.number}, {one_line(best.iteration.title)}"]
    if (interval := best.score_interval) is not None:
        told.append(
            f"score {figures.percent(interval.delta)} "
            f"(95% interval {figures.percent(interval.low)} to {figures.percent(interval.high)}, "
            f"{metrics['passed']} of {metrics['total']})"
        )
    elif metrics.get("score") is not None:
        told.append(f"score {figures.percent(metrics['score'])}")
    if metrics.get("eval_loss") is not None:
        told.append(f"eval loss {figures.loss(metrics['eval_loss'])} nats a token")
    return "; ".join(told)


def _over_runs(report: Report) -> str:
    """What the best config reached on the average of its runs."""
    runs = [e.iteration for e in report.iterations if e.iteration.number in report.best_runs]
    metrics = mean_metrics(runs)
    told = [
        f"{name} {text} on average"
        for name, text in (
            ("score", figures.percent(metrics.get("score"))),
            ("eval loss", figures.loss(metrics.get("eval_loss"))),
        )
        if text
    ]
    numbers = ", ".join(map(str, report.best_runs[:-1]))
    return f"{numbers} and {report.best_runs[-1]}: {', '.join(told)}"


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
