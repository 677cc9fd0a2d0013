"""The trail of a loop that goes by itself: each decision with its reason and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tui_loop.core.compare.best import mean_metrics
from tui_loop.core.compare.comparison import Comparison, brief_delta
from tui_loop.core.diagnosis.findings import Verdict
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.plan import Plan
from tui_loop.core.workflow.stop_rules import Stop


class Step(msgspec.Struct, frozen=True):
    """One decision and what became of it. `numbers`: the runs of it; `best`: the best after it.

    `against`: the first run against its parent; `verdict`: on what was predicted.
    """

    plan: Plan
    numbers: tuple[int, ...]
    ended: Iteration
    best: int | None
    against: Comparison | None = None
    verdict: Verdict | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The step as JSON types."""
        metrics, interval = self.ended.metrics, self.against.interval if self.against else None
        return {
            "numbers": list(self.numbers),
            "parent": self.plan.parent,
            "why": self.plan.why,
            "changes": {name: list(_pair(value)) for name, value in self.plan.changes.items()},
            "suggestion": self.plan.suggestion,
            "predicted": self.plan.predicted,
            "state": self.ended.state,
            "error": self.ended.error,
            "score": metrics.get("score"),
            "eval_loss": metrics.get("eval_loss"),
            "delta": msgspec.to_builtins(interval) if interval is not None else None,
            "claim": self.against.claim if self.against is not None else None,
            "verdict": msgspec.to_builtins(self.verdict) if self.verdict is not None else None,
            "best": self.best,
        }


class Outcome(msgspec.Struct, frozen=True):
    """All of it: the steps in order, why it stopped, the runs of the best config in the end.

    `about`: what the source of the suggestions goes by, "" where that is the diagnosis.
    """

    loop: str
    steps: tuple[Step, ...]
    stop: Stop
    best_runs: tuple[Iteration, ...] = ()
    about: str = ""

    @property
    def best(self) -> Iteration | None:
        """The best config's first run."""
        return next(iter(self.best_runs), None)

    @property
    def exit_code(self) -> int:
        """0 done, 3 stopped on request, 1 where every try failed."""
        if self.stop.kind == "stopped":
            return 3
        failed = self.stop.kind == "failed" and not self.steps
        all_failed = bool(self.steps) and all(e.ended.state != "finished" for e in self.steps)
        return 1 if failed or all_failed else 0

    @property
    def record(self) -> dict[str, Any]:
        """The outcome as JSON types."""
        return {
            "loop": self.loop,
            "steps": [each.record for each in self.steps],
            "stopped": msgspec.to_builtins(self.stop),
            "best": self.best.number if self.best is not None else None,
        }

    @property
    def note(self) -> str:
        """The whole trail as a paragraph for the notes."""
        lines = [f"auto {self.stop.words}."]
        if self.about:
            lines.append(f"It {self.about}.")
        if told := told_best(self.best_runs):
            lines.append(told)
        for each in self.steps:
            lines.append(f"- {told_decision(each.plan, each.numbers)}. {told_result(each)}")
        return "\n".join(lines)


def told_decision(plan: Plan, numbers: tuple[int, ...] = ()) -> str:
    """`3 from 2: learning_rate 1e-6 → 1e-4, because ...`."""
    changed = [
        f"{name.partition('.')[2] or name} {' → '.join(map(brief, _pair(value)))}"
        for name, value in plan.changes.items()
        if not isinstance(value, dict)
    ]
    what = ", ".join(changed) or title_of(1, plan.parent, plan.changes)
    head = f"{'+'.join(map(str, numbers))} from " if numbers else "from "
    why = plan.why.strip().removesuffix(what).rstrip(" .:")
    because = f", because {_lowered(why)}" if why else ""
    return f"{head}{plan.parent or 'the defaults'}: {what}{because}"


def told_prediction(plan: Plan) -> str:
    """`expects score 60% to 80% (was 31%)`, "" where nothing is predicted."""
    told = plan.predicted
    if not told:
        return ""
    name = str(told.get("metric"))
    show = figures.percent if name == "score" else figures.loss
    low, high, was = (show(told.get(each)) for each in ("low", "high", "was"))
    return f"expects {name.replace('_', ' ')} {low} to {high} (was {was})"


def told_result(step: Step) -> str:
    """How a step ended, against its parent, and what that says of the prediction."""
    ended = step.ended
    if ended.state != "finished":
        message = (ended.error or {}).get("message", "")
        head = f"{ended.number} {ended.state}" + (f": {message}" if message else "")
    else:
        parts = [f"{ended.number}: {told_figures(ended)}"]
        if delta := brief_delta(step.against):
            parts.append(f"{delta} against {step.plan.parent}")
        head = ", ".join(parts)
    tail = []
    if step.verdict is not None:
        tail.append(f"{step.verdict.word}: {step.verdict.sentence.rstrip('.')}")
    if step.best == ended.number:
        tail.append(f"the best so far{_by_how_much(step)}")
    elif step.best is not None:
        tail.append(f"{step.best} stays the best")
    return ". ".join([head, *(each[0].upper() + each[1:] for each in tail)]) + "."


def _by_how_much(step: Step) -> str:
    """What takes something from "the best so far"; "" where it is seen to be better."""
    against = step.against
    if against is None or "no difference" not in against.claim:
        return ""
    if against.interval is not None and against.interval.delta == 0:
        return ", by its loss alone: the score is its parent's"
    return ", but by no more than noise"


def told_figures(iteration: Iteration) -> str:
    """`score 71%, eval loss 1.204`."""
    return figures_words(iteration.metrics)


def figures_words(metrics: Mapping[str, Any]) -> str:
    """The same of metrics."""
    score, loss = figures.percent(metrics.get("score")), figures.loss(metrics.get("eval_loss"))
    parts = [f"score {score}"] * bool(score) + [f"eval loss {loss}"] * bool(loss)
    return ", ".join(parts) or "no figures"


def told_best(runs: Sequence[Iteration]) -> str:
    """`The best is 3: score 71%, eval loss 1.204.`; of several runs the means, "" of none."""
    if not runs:
        return ""
    told = figures_words(mean_metrics(runs))
    numbers = ", ".join(str(each.number) for each in runs)
    mean = f", the mean of runs {numbers}" if len(runs) > 1 else ""
    return f"The best is {runs[0].number}: {told}{mean}."


def _pair(value: Any) -> tuple[Any, Any]:
    return (None, value) if isinstance(value, dict) else (value[0], value[1])


def _lowered(text: str) -> str:
    """A sentence as a clause; a name or an abbreviation keeps its capital."""
    return text[0].lower() + text[1:] if text[1:2].islower() else text
