"""The log of the autopilot: each decision with its reason and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tui_loop.core.compare.best import mean_metrics
from tui_loop.core.compare.claims import brief_delta
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.diagnosis.findings import Verdict
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.plan import Plan
from tui_loop.core.workflow.stop_rules import Stop


class Step(msgspec.Struct, frozen=True):
    """One decision and its result.

    `numbers`: its runs. `ended`: the first of them. `best`: the best iteration after it.
    `comparison`: the first run compared with its parent. `verdict`: on the prediction.
    """

    plan: Plan
    numbers: tuple[int, ...]
    ended: Iteration
    best: int | None
    comparison: Comparison | None = None
    verdict: Verdict | None = None

    @property
    def record(self) -> dict[str, Any]:
        """Returns the step as JSON types."""
        metrics, interval = (
            self.ended.metrics,
            self.comparison.interval if self.comparison else None,
        )
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
            "claim": self.comparison.claim if self.comparison is not None else None,
            "verdict": msgspec.to_builtins(self.verdict) if self.verdict is not None else None,
            "best": self.best,
        }


class Outcome(msgspec.Struct, frozen=True):
    """The result of the autopilot: its steps in order, why it stopped, and the best runs.

    `best_runs`: the runs of the best config. `about`: a description of the source of suggestions,
    "" where that is the diagnosis.
    """

    loop: str
    steps: tuple[Step, ...]
    stop: Stop
    best_runs: tuple[Iteration, ...] = ()
    about: str = ""

    @property
    def best(self) -> Iteration | None:
        """Returns the first run of the best config."""
        return next(iter(self.best_runs), None)

    @property
    def exit_code(self) -> int:
        """Returns 0 when done, 3 when stopped on request, 1 where every run failed.

        2 where the first config was refused, so that nothing was run.
        """
        if self.stop.kind == "stopped":
            return 3
        if self.stop.kind == "refused" and not self.steps:
            return 2
        failed = self.stop.kind == "failed" and not self.steps
        all_failed = bool(self.steps) and all(e.ended.state != "finished" for e in self.steps)
        return 1 if failed or all_failed else 0

    @property
    def record(self) -> dict[str, Any]:
        """Returns the outcome as JSON types."""
        return {
            "loop": self.loop,
            "steps": [each.record for each in self.steps],
            "stopped": msgspec.to_builtins(self.stop),
            "best": self.best.number if self.best is not None else None,
        }

    @property
    def note(self) -> str:
        """Returns all steps as a paragraph for the notes."""
        lines = [f"auto {self.stop.words}."]
        if self.about:
            lines.append(f"It {self.about}.")
        if summary := best_summary(self.best_runs):
            lines.append(summary)
        for each in self.steps:
            lines.append(f"- {decision_text(each.plan, each.numbers)}. {result_text(each)}")
        return "\n".join(lines)


def decision_text(plan: Plan, numbers: tuple[int, ...] = ()) -> str:
    """Returns `iteration 3 from iteration 2: learning_rate 1e-6 → 1e-4, because ...`."""
    changed = [
        f"{name.partition('.')[2] or name} {' → '.join(map(brief, _pair(value)))}"
        for name, value in plan.changes.items()
        if not isinstance(value, dict)
    ]
    what = ", ".join(changed) or title_of(1, plan.parent, plan.changes)
    created = f"iteration{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))} "
    head = f"{created if numbers else ''}from "
    start = f"iteration {plan.parent}" if plan.parent else "the defaults"
    why = plan.why.strip().removesuffix(what).rstrip(" .:")
    because = f", because {_lowered(why)}" if why else ""
    return f"{head}{start}: {what}{because}"


def prediction_text(plan: Plan) -> str:
    """Returns `expects score 60% to 80% (was 31%)`, "" without a prediction."""
    predicted = plan.predicted
    if not predicted:
        return ""
    name = str(predicted.get("metric"))
    show = figures.percent if name == "score" else figures.loss
    low, high, was = (show(predicted.get(each)) for each in ("low", "high", "was"))
    return f"expects {name.replace('_', ' ')} {low} to {high} (was {was})"


def result_text(step: Step) -> str:
    """Returns how a step ended, compared with its parent and with the prediction."""
    ended = step.ended
    if ended.state != "finished":
        message = (ended.error or {}).get("message", "")
        head = f"iteration {ended.number} {ended.state}" + (f": {message}" if message else "")
    else:
        parts = [f"iteration {ended.number}: {figures_text(ended.metrics)}"]
        if delta := brief_delta(step.comparison):
            parts.append(f"{delta} against iteration {step.plan.parent}")
        head = ", ".join(parts)
    tail = []
    if step.verdict is not None:
        tail.append(f"{step.verdict.word}: {step.verdict.sentence.rstrip('.')}")
    if step.best == ended.number:
        tail.append(f"the best so far{_reservation(step)}")
    elif step.best is not None:
        tail.append(f"iteration {step.best} is still the best")
    return ". ".join([head, *(each[0].upper() + each[1:] for each in tail)]) + "."


def _reservation(step: Step) -> str:
    """Returns a reservation about "the best so far", "" where it is clearly better."""
    comparison = step.comparison
    if comparison is None or "no difference" not in comparison.claim:
        return ""
    if comparison.interval is not None and comparison.interval.delta == 0:
        return ", judged by the loss alone: the score equals the parent's"
    return ", but the difference is within the noise"


def figures_text(metrics: Mapping[str, Any]) -> str:
    """Returns `score 71%, eval loss 1.204`."""
    score, loss = figures.percent(metrics.get("score")), figures.loss(metrics.get("eval_loss"))
    parts = [f"score {score}"] * bool(score) + [f"eval loss {loss}"] * bool(loss)
    return ", ".join(parts) or "no figures"


def best_summary(runs: Sequence[Iteration]) -> str:
    """Returns `The best iteration is 3: score 71%.`, with means over several runs."""
    if not runs:
        return ""
    text = figures_text(mean_metrics(runs))
    numbers = ", ".join(str(each.number) for each in runs)
    mean = f", the mean of runs {numbers}" if len(runs) > 1 else ""
    return f"The best iteration is {runs[0].number}: {text}{mean}."


def _pair(value: Any) -> tuple[Any, Any]:
    return (None, value) if isinstance(value, dict) else (value[0], value[1])


def _lowered(text: str) -> str:
    """Lowers the first letter of a sentence, but not that of an abbreviation."""
    return text[0].lower() + text[1:] if text[1:2].islower() else text
