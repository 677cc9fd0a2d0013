"""Reads every trained iteration of a loop as a trial: its config and its result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Literal

import msgspec

from tui_loop.core.config.earlier_versions import upgraded
from tui_loop.core.config.schema import BOOKKEEPING, Config
from tui_loop.core.config.tables import flatten
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.codec import number, to_json
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Fingerprint, Iteration
from tui_loop.core.text.untrusted import one_line

Ended = Literal["finished", "diverged", "oom", "failed", "unfinished"]
"""`failed`: for other reasons. `unfinished`: stopped, interrupted or still running."""

RATE = "training.learning_rate"
BATCH = "training.per_device_train_batch_size"
ACCUMULATION = "training.gradient_accumulation_steps"
MODEL = "model.id"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trained iteration.

    `config`: the flat effective config, None for unset fields. `asked`: the requested values that a
    recovery changed. `data`: the iteration that introduced the training rows, 0 for the first rows.
    `settings`: the config without bookkeeping fields, equal for replicates. `gain`: the score minus
    the base's, in [-1, 1]. `changed`: the changes against the parent's config, without bookkeeping;
    None where the parent is not trained or has other rows. `against_base` and `against_parent`:
    claims of `core.compare.comparison`, "" without one. `replicates`: for the claim on the parent,
    the smaller number of runs of the two configs.
    """

    loop: str
    number: int
    base: str
    is_lora: bool
    config: dict[str, Any]
    settings: bytes
    asked: dict[str, Any] = {}
    data: int = 0
    ended: Ended
    score: float | None = None
    eval_loss: float | None = None
    gain: float | None = None
    parent: int | None = None
    changed: dict[str, tuple[Any, Any]] | None = None
    fingerprint: Fingerprint | None = None
    total: int = 0
    against_base: str = ""
    against_parent: str = ""
    replicates: int = 1

    @property
    def place(self) -> str:
        """Returns `loop/3`."""
        return f"{self.loop}/{self.number}"

    def value(self, name: str) -> Any:
        """Returns the requested value, which a recovery may have changed."""
        return self.asked.get(name, self.config.get(name))


def trials_from(
    name: str, iterations: Iterable[Iteration], loop: LoopFolder
) -> tuple[list[Trial], int]:
    """Returns the trials of a loop named `name`, and the number of unreadable iterations."""
    known: dict[int, Trial] = {}
    base_score: float | None = None
    unread = 0
    for each in iterations:
        if each.state == "unreadable" or each.config is None:
            unread += 1
        elif each.number == 0:
            base_score = _finite(each.metrics.get("score"))
        else:
            trial = _trial(name, each, known, base_score)
            known[each.number] = _with_asked(loop, trial, each) if each.attempts > 1 else trial
    return list(known.values()), unread


def _trial(
    name: str, iteration: Iteration, known: dict[int, Trial], base_score: float | None
) -> Trial:
    config = _flat(upgraded(iteration.config or {}))
    parent = known.get(iteration.parent or 0)
    brings_rows = isinstance(iteration.changes.get("data.train"), dict)
    data = parent.data if parent is not None else 0
    data = iteration.number if brings_rows else data
    score = _finite(iteration.metrics.get("score"))
    changed = None
    if parent is not None and parent.data == data:
        changed = _changed(parent.config, config)
    total = iteration.metrics.get("total")
    return Trial(
        loop=name,
        number=iteration.number,
        base=str(config.get(MODEL)),
        is_lora=bool(config.get("lora.enabled")),
        config=config,
        settings=to_json([data, *sorted(_tried(config).items())]),
        data=data,
        ended=_ended(iteration),
        score=score,
        eval_loss=_finite(iteration.metrics.get("eval_loss")),
        gain=None if score is None or base_score is None else score - base_score,
        parent=iteration.parent,
        changed=changed,
        fingerprint=iteration.fingerprint,
        total=total if isinstance(total, int) else 0,
    )


def _ended(iteration: Iteration) -> Ended:
    if iteration.state == "finished":
        return "finished"
    if iteration.state != "failed":
        return "unfinished"
    kind = (iteration.error or {}).get("kind")
    return "diverged" if kind == "diverged" else "oom" if kind == "oom" else "failed"


def _with_asked(loop: LoopFolder, trial: Trial, iteration: Iteration) -> Trial:
    """Returns the trial with the values of its decision that a recovery changed."""
    decided: dict[str, Any] = {}
    with suppress(TuiLoopError, OSError):
        decision = loop.iteration(trial.number).read_decision()
        decided = {each.field: each.new for each in decision.changes}
    asked = {}
    for name in (RATE, BATCH, ACCUMULATION):
        pair = iteration.changes.get(name)
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            continue
        requested = decided.get(name, pair[0])
        if requested != trial.config.get(name):
            asked[name] = requested
    return msgspec.structs.replace(trial, asked=asked) if asked else trial


def diverged(trial: Trial) -> bool | None:
    """Returns whether the trial diverged with the requested values; None where it did not end."""
    if trial.ended == "diverged" or RATE in trial.asked:
        return True
    return False if trial.ended == "finished" else None


def ran_out_of_memory(trial: Trial) -> bool | None:
    """Returns whether memory ran out with the requested values; None where unknown."""
    if trial.ended == "oom" or BATCH in trial.asked:
        return True
    return False if trial.ended in ("finished", "diverged") else None


def no_better(trial: Trial) -> bool | None:
    """Returns whether no claim says that the trial is better than the base; None where unknown."""
    if trial.ended != "finished" or trial.against_base in ("", "nothing to compare"):
        return None
    return not trial.against_base.endswith("better")


def best_first(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Groups finished trials of one loop by config, the best mean score (else loss) first."""
    groups: dict[bytes, list[Trial]] = {}
    scored = any(each.score is not None for each in trials if each.ended == "finished")
    for each in trials:
        measured = each.score if scored else each.eval_loss
        if each.ended == "finished" and measured is not None:
            groups.setdefault(each.settings, []).append(each)

    def mean(group: list[Trial]) -> float:
        values = [each.score if scored else -(each.eval_loss or 0.0) for each in group]
        return math.fsum(value or 0.0 for value in values) / len(values)

    return sorted(groups.values(), key=mean, reverse=True)


def base_words(trial: Trial) -> str:
    """Returns the name of the base, with a remark on full fine-tuning."""
    return base_name(trial.base) + ("" if trial.is_lora else " (full fine-tuning)")


def base_name(model: str) -> str:
    """Returns a model's id, or the last part of a path, shortened for a sentence."""
    parts = model.replace("\\", "/").rstrip("/").split("/")
    is_path = len(parts) > 2 or parts[0] in ("", ".", "..", "~")
    return one_line(parts[-1] if is_path else model, 80)


@cache
def _defaults() -> dict[str, Any]:
    return flatten(Config())


def _flat(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns {"group.field": value}. Fields that an older record lacks get today's defaults."""
    own = {f"{group}.{name}": value for group, t in tables.items() for name, value in t.items()}
    return {**_defaults(), **own}


def _tried(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in BOOKKEEPING}


def _changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    before, after = _tried(old), _tried(new)
    return {
        name: (before.get(name), after.get(name))
        for name in {**after, **before}
        if before.get(name) != after.get(name)
    }


def _finite(value: Any) -> float | None:
    plain = number(value)
    return plain if plain is not None and math.isfinite(plain) else None
