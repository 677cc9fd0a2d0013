"""Every kind of suggestion, built from a record, with what it changes and what it predicts.

A record is written, one rule finds its finding there, and all advisors of that kind answer. What
they predict was computed by hand: with 12 of 60 rows failing the score is 0.8 and the eval loss
(48 * 0.05 + 12 * 1.5) / 60 = 0.34; with 30 failing they are 0.5 and 0.775.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.core.diagnosis.written import (
    Written,
    answered,
    asked,
    example,
    messages,
    renamed,
    rows_of,
)
from tui_loop.core.data.rows import Message, Row
from tui_loop.core.diagnosis.advice.advisors import ADVISORS
from tui_loop.core.diagnosis.diagnose import Rule
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.diagnosis.rules import (
    data_mismatch,
    evaluation_set,
    generalization,
    learning_rate,
    lineage,
    measuring,
    rendered_rows,
    row_quality,
    run_health,
    settings,
    step_size,
    unexplained,
    unusual_settings,
)
from tui_loop.core.diagnosis.rules.evaluation_set import eval_too_small
from tui_loop.core.diagnosis.rules.generalization import forgetting, worse_than_base
from tui_loop.core.diagnosis.rules.label_noise import suspect_references
from tui_loop.core.diagnosis.rules.outputs import (
    class_bias,
    confused_labels,
    format_errors,
    weak_slice,
)
from tui_loop.core.diagnosis.rules.training_data import duplicates, leakage, missing_labels
from tui_loop.core.diagnosis.rules.truncation import ending, truncated_inputs

ROWS, TRAIN = asked(60), asked(400)[200:]
MESSAGES = messages(260, seed=1)
HELD, SEEN = MESSAGES[:60], MESSAGES[60:]
FLAT = [0.3] * 60
FALLING = [3.0 * 0.95**n for n in range(60)]
LR, EPOCHS, CLIP, WARMUP = (
    f"training.{name}"
    for name in ("learning_rate", "num_train_epochs", "max_grad_norm", "warmup_steps")
)
BATCH, PASSES = "training.per_device_train_batch_size", "training.gradient_accumulation_steps"

STILL_HIGH = [5.0] * 60
LEFT = {"eval_loss": 4.8, "trainable_parameters": 1_000_000}

Range = tuple[str, float, float, float]
"""Metric, value now, and the two ends of what is predicted."""


class Change(NamedTuple):
    """What a suggestion that sets fields is expected to be."""

    changes: Mapping[str, tuple[Any, Any]]
    expects: Range | None


class Advice(NamedTuple):
    """What a suggestion that no field can take is expected to be: how its action begins."""

    action: str
    expects: Range | None


class Built(NamedTuple):
    """A record, the rule that finds something there, and all that is suggested for it."""

    name: str
    make: Callable[[Written], IterationFacts]
    rule: Rule
    finding: FindingKind
    suggestions: Mapping[SuggestionKind, Change | Advice]


def score(low: float, high: float, was: float = 0.8) -> Range:
    return "score", was, low, high


def loss(low: float, high: float, was: float = 0.34) -> Range:
    return "eval_loss", was, low, high


GREAT, LIKELY, FAIR = score(0.6, 0.95, 0.5), score(0.55, 0.95, 0.5), score(0.525, 0.8, 0.5)
"""Gains of shares of the half that fails: 0.2 to 0.9, 0.1 to 0.9, and 0.05 to 0.6."""


def run(losses: list[float] = FLAT, *settings: str, wrong: int = 12, **more: Any) -> Any:
    """Makes a base that knows nothing and one iteration with curves."""

    def make(written: Written) -> IterationFacts:
        written.base(ROWS, loss=5.0)
        return written.trained(ROWS, losses, *settings, wrong=wrong, **more)

    return make


def out_of_memory() -> Any:
    error = {"kind": "oom", "message": "out of memory", "hint": "", "step": 3}
    return run(FLAT[:3], "per_device_train_batch_size=12", error=error)


def blown_up() -> Any:
    error = {"kind": "diverged", "message": "diverged at step 3: loss not finite", "step": 3}
    nothing = {"eval_loss": None, "score": None}
    return run(FLAT[:3], "learning_rate=5e-2", "max_grad_norm=0", error=error, metrics=nothing)


def gradient_shot_up() -> Any:
    grads = [1.0] * 60
    grads[4] = 80.0
    return run([1.0] * 60, "learning_rate=2e-2", grads=grads)


def by_heart(*settings: str) -> Any:
    told = {"train_rows_loss": 0.001, "eval_loss": 0.9, "epochs": 20.0}
    known = [(row, 0.001) for row in asked(40)]
    return run(FALLING, *settings, wrong=30, measured=known, metrics=told)


def wider_gap() -> Any:
    measured = [(row, 0.2 + 0.1 * (n % 2)) for n, row in enumerate(asked(40))]
    return run(FLAT, wrong=30, measured=measured)


def gap_of_ten_rows(written: Written) -> IterationFacts:
    written.base(ROWS[:10], loss=5.0)
    measured = [(row, 0.05) for row in TRAIN[:40]]
    written.add(answered(ROWS[:10], [0]), train=TRAIN, measured=measured)
    return written.case()


def small_adapter() -> Any:
    small = ("lora.r=4", "lora_alpha=8", 'target_modules=["c_attn"]', "learning_rate=2e-3")
    return run([1.4] * 60, *small, wrong=30, metrics={"eval_loss": 1.5})


def cut_rows() -> Any:
    counts = {"train_rows_cut": 20, "train_rows_dropped": 0, "train_row_longest": 700}
    return run(FLAT, "training.max_length=512", metrics=counts)


def cut_prompts(written: Written) -> IterationFacts:
    written.base(ROWS)
    cut = [example(row, "hm", prompt_cut=9) for row in ROWS[:10]]
    rows = [*cut, *answered(ROWS[10:], range(2))]
    written.add(rows, "evaluation.max_length=64", train=TRAIN, metrics={"eval_rows_cut": 10})
    return written.case()


def cut_outputs(written: Written) -> IterationFacts:
    written.base(ROWS)
    cut = [
        example(row, "ref", causes=("truncated_output",), supervised_tokens=12, truncated=True)
        for row in ROWS[:30]
    ]
    rows = [*cut, *answered(ROWS[30:])]
    written.add(rows, "evaluation.max_new_tokens=4", max_new_tokens=4)
    return written.case()


def endless_outputs(written: Written) -> IterationFacts:
    written.base(ROWS)
    ran = [
        example(row, f"{row.reference} and so on", causes=("no_end_token",), truncated=True)
        for row in ROWS[:12]
    ]
    written.add([*ran, *answered(ROWS[12:])], "evaluation.max_new_tokens=8")
    return written.case()


def rendered(flaw: str) -> dict[str, Any]:
    """What a run derives that rendered all rows with a flaw."""
    table = {"template": "model", "eos_token": "</s>", "stop_tokens": ["</s>"]}
    return {"shape": "instruction", "columns": {}, "rendering": {**table, "rows_with": {flaw: 200}}}


def flawed_rows(flaw: str) -> Any:
    return run(FLAT, effective=rendered(flaw))


def ended_rows(written: Written) -> IterationFacts:
    written.base(ROWS)
    ran = [
        example(row, f"{row.reference} and more", causes=("no_end_token",), truncated=True)
        for row in ROWS[:12]
    ]
    written.add([*ran, *answered(ROWS[12:])], train=TRAIN, effective=rendered("merged"))
    return written.case()


def endless_model(written: Written) -> IterationFacts:
    written.base(ROWS)
    table = {"stop_tokens": [], "rows_with": {"no_stop": 200}}
    written.add(answered(ROWS, range(12)), train=TRAIN, effective={"rendering": table})
    return written.case()


def other_form(written: Written) -> IterationFacts:
    written.base(ROWS)
    said = [example(row, f"It is {row.reference}!", causes=("format",)) for row in ROWS[:12]]
    written.add([*said, *answered(ROWS[12:])])
    return written.case()


def one_label(written: Written) -> IterationFacts:
    written.base(ROWS)
    written.add([example(row, "refund", loss=1.0) for row in ROWS])
    return written.case()


def weak_label(written: Written) -> IterationFacts:
    written.base(ROWS)
    weak = [at for at, row in enumerate(ROWS) if row.reference == "refund"][:12]
    written.add(answered(ROWS, weak))
    return written.case()


def label_without_rows(written: Written) -> IterationFacts:
    written.base(ROWS)
    wanted = [at for at, row in enumerate(ROWS) if row.reference == "login"]
    written.add(answered(ROWS, wanted), train=[row for row in TRAIN if row.reference != "login"])
    return written.case()


def contradicted(written: Written) -> IterationFacts:
    written.base(ROWS)
    for _ in range(3):
        said = ["refund" if row.reference != "refund" else "login" for row in ROWS[:3]]
        against = [example(row, word, loss=4.0) for row, word in zip(ROWS[:3], said, strict=True)]
        written.add([*against, *answered(ROWS[3:])], train=TRAIN)
    return written.case()


def tripled(written: Written) -> IterationFacts:
    written.base(ROWS)
    written.add(answered(ROWS), train=rows_of([(r.prompt, r.reference) for r in TRAIN] * 3))
    return written.case()


def leaked(written: Written) -> IterationFacts:
    written.base(ROWS)
    written.add(answered(ROWS, range(30, 40)), train=[*TRAIN, *ROWS[:30]])
    return written.case()


def worse(written: Written) -> IterationFacts:
    rows = asked(80)
    written.base(rows, range(60))
    written.add(answered(rows, range(40)))
    return written.case()


def forgotten(written: Written) -> IterationFacts:
    rows = asked(80)
    written.base(rows, range(20))
    written.add(answered(rows, range(16)))
    return written.case()


def eight_rows(written: Written) -> IterationFacts:
    written.base(ROWS[:8])
    written.add(answered(ROWS[:8], [0]), train=TRAIN)
    return written.case()


def eight_configs(written: Written) -> IterationFacts:
    written.base(ROWS)
    for rate in range(1, 9):
        written.add(answered(ROWS, range(30)), f"learning_rate={rate}e-4")
    return written.case()


def no_better_config(written: Written) -> IterationFacts:
    written.base(ROWS)
    for rate in range(1, 5):
        written.add(answered(ROWS, range(12)), f"learning_rate={rate}e-4", train=TRAIN)
    return written.case()


def converged(losses: list[float]) -> Any:
    return run(losses, evals={20: 0.9, 40: 0.8, 60: 0.8}, metrics={"eval_loss": 0.8})


def one_run_of_each(written: Written) -> IterationFacts:
    written.base(ROWS)
    written.add(answered(ROWS, range(30)))
    written.add(answered(ROWS, range(9, 33)), "learning_rate=2e-4")
    return written.case()


def idle_time() -> Any:
    evaluated, saved = dict.fromkeys(range(2, 61, 2), 0.5), range(1, 61, 2)
    seconds = dict.fromkeys(evaluated, 50.0) | dict.fromkeys(saved, 50.0) | {59: 1.0, 60: 1.0}
    ones = ("per_device_train_batch_size=1", "gradient_accumulation_steps=16")
    every = ("eval_steps=2", "save_steps=2")
    return run(FLAT, *ones, *every, evals=evaluated, saves=saved, seconds=seconds)


def compared(train: Sequence[Row], *settings: str, **more: Any) -> Any:
    """Makes an iteration whose record has the facts about its data, and half of whose rows fail."""

    def make(written: Written) -> IterationFacts:
        written.base(HELD)
        written.add(answered(HELD, range(30)), *settings, train=train, audit=True, **more)
        return written.case()

    return make


def half_of(rows: Sequence[Row], said: str, **fields: str) -> list[Row]:
    """The rows, half of those with this reference changed."""
    chosen = {row.id for row in [row for row in rows if row.reference == said][::2]}
    return [msgspec.structs.replace(r, **fields) if r.id in chosen else r for r in rows]


def told_before(rows: Sequence[Row]) -> list[Row]:
    return [msgspec.structs.replace(r, prompt=f"{r.prompt} [{r.reference}]") for r in rows]


def templated(rows: Sequence[Row]) -> list[Row]:
    return [msgspec.structs.replace(r, prompt=f"### Message\n{r.prompt}\n###") for r in rows]


def with_short_prompts(written: Written) -> IterationFacts:
    """A record whose prompts are one of four words, on both sides."""
    train, held = (
        rows_of((f"subject {n % 4}", row.reference) for n, row in enumerate(rows))
        for rows in (SEEN, HELD)
    )
    written.base(held)
    written.add(answered(held, range(len(held) // 2)), train=train, audit=True)
    return written.case()


def about_cooking(written: Written) -> IterationFacts:
    held = rows_of(
        (f"peel potato {n}, salt pan {n % 7}, herbs", r.reference) for n, r in enumerate(HELD)
    )
    written.base(held)
    written.add(answered(held, range(30)), train=SEEN, audit=True)
    return written.case()


def misread(written: Written) -> IterationFacts:
    garbled = [msgspec.structs.replace(r, prompt=f"Ã¼ber {r.prompt}") for r in SEEN[:40]]
    written.base(HELD)
    written.add(answered(HELD, range(30)), train=SEEN, measured=[(row, 0.2) for row in garbled])
    return written.case()


def few_known_rows(*settings: str) -> Any:
    measured = [(row, 0.01 * (1 + at % 3)) for at, row in enumerate(SEEN[:30])]
    return compared(SEEN[:30], *settings, measured=measured)


def in_turns(written: Written) -> IterationFacts:
    earlier = (Message("user", "Are you there?"), Message("assistant", "Yes."))
    train, held = (
        [
            msgspec.structs.replace(
                row,
                messages=(*earlier, Message("user", row.prompt), Message("assistant", "x")),
            )
            for row in rows
        ]
        for rows in (SEEN, HELD)
    )
    half = ("data.train_on=last", "evaluation.turns=all")
    written.base(HELD)
    written.add(answered(HELD, range(30)), *half, train=train, audit=held)
    return written.case()


def measured_so(*settings: str) -> Any:
    def make(written: Written) -> IterationFacts:
        written.base(ROWS)
        written.add(answered(ROWS, range(30)), *settings, train=TRAIN)
        return written.case()

    return make


def compared_as_text(written: Written) -> IterationFacts:
    written.base(ROWS)
    said = [example(row, f"the intent is {row.reference}", passed=False, score=0.0) for row in ROWS]
    written.add(said, "evaluation.metric=exact_match", train=TRAIN)
    return written.case()


def taken_for_another(written: Written) -> IterationFacts:
    written.base(ROWS)
    said = [example(row, "refund" if row.reference == "login" else None) for row in ROWS]
    written.add(said, train=TRAIN, metrics={"train_rows_loss": 0.05})
    return written.case()


def fallen(written: Written) -> IterationFacts:
    written.base(ROWS)
    written.add(answered(ROWS, range(3)), train=TRAIN)
    written.add(answered(ROWS, range(30)), "learning_rate=1e-2", train=TRAIN)
    return written.case()


def from_a_failed_run(written: Written) -> IterationFacts:
    written.base(ROWS)
    written.add([], train=TRAIN, error={"kind": "oom", "message": "out of memory"})
    written.add(answered(ROWS, range(30)), "model.init_adapter=1", train=TRAIN)
    return written.case()


def without_a_cause(facts: IterationFacts) -> Iterator[Finding]:
    """What is said where no other rule finds anything."""
    return unexplained.unexplained(facts, [])


def tried_on_training_rows(written: Written) -> IterationFacts:
    written.base(ROWS)
    written.add(answered(ROWS, range(40)), train=TRAIN, metrics={"eval_loss": 0.1})
    folder = written.add(answered(ROWS, range(3)), train=TRAIN)
    decision = msgspec.structs.replace(
        folder.read_decision(), suggestion="unexplained/on_training_rows"
    )
    folder.write_decision(decision)
    return written.case()


def prompts_without_room(written: Written) -> IterationFacts:
    written.base(ROWS)
    cut = [example(row, "hm", prompt_cut=9) for row in ROWS[:10]]
    rows = [*cut, *answered(ROWS[10:], range(2))]
    counted = {"eval_rows_cut": 10}
    written.add(rows, "evaluation.max_new_tokens=900", train=TRAIN, metrics=counted)
    return written.case()


BUILT = (
    Built(
        "out of memory",
        out_of_memory(),
        run_health.failed,
        FindingKind.FAILED,
        {
            SuggestionKind.SMALLER_MICRO_BATCH: Change({BATCH: (12, 6), PASSES: (1, 2)}, None),
            SuggestionKind.ACTIVATION_CHECKPOINTING: Change(
                {"training.activation_checkpointing": (False, True)}, None
            ),
        },
    ),
    Built(
        "diverged",
        blown_up(),
        run_health.diverged,
        FindingKind.DIVERGED,
        {
            SuggestionKind.LOWER_LEARNING_RATE: Change({LR: (5e-2, 5e-3)}, loss(0.25, 4.0, 5.0)),
            SuggestionKind.CLIP_GRADIENTS: Change({CLIP: (0.0, 1.0)}, None),
            SuggestionKind.WARM_UP: Change({WARMUP: (0.0, 0.05)}, None),
        },
    ),
    Built(
        "gradient shot up",
        gradient_shot_up(),
        learning_rate.learning_rate_too_high,
        FindingKind.LEARNING_RATE_TOO_HIGH,
        {SuggestionKind.LOWER_LEARNING_RATE: Change({LR: (2e-2, 2e-3)}, score(0.82, 0.92))},
    ),
    Built(
        "loss jumps",
        run([3.0 if n % 15 == 14 else 0.4 for n in range(60)], "max_grad_norm=0"),
        run_health.unstable,
        FindingKind.UNSTABLE,
        {
            SuggestionKind.CLIP_GRADIENTS: Change({CLIP: (0.0, 1.0)}, loss(0.238, 0.34)),
            SuggestionKind.WARM_UP: Change({WARMUP: (0.0, 0.05)}, loss(0.272, 0.34)),
            SuggestionKind.LOWER_LEARNING_RATE: Change({LR: (1e-4, 3e-5)}, loss(0.204, 0.34)),
        },
    ),
    Built(
        "endless warm-up",
        run(
            STILL_HIGH,
            "warmup_steps=2000",
            learning_rates=[1e-4 * (n + 1) / 2000 for n in range(60)],
            metrics=LEFT,
        ),
        step_size.held_back,
        FindingKind.HELD_BACK,
        {
            SuggestionKind.USUAL_STEPS: Change({WARMUP: (2000.0, 0.0)}, loss(0.48, 3.84, 4.8)),
        },
    ),
    Built(
        "large epsilon",
        run(STILL_HIGH, "training.adam_epsilon=1e-2", grads=[1.0] * 60, metrics=LEFT),
        step_size.held_back,
        FindingKind.HELD_BACK,
        {
            SuggestionKind.USUAL_STEPS: Change(
                {"training.adam_epsilon": (0.01, 1e-8)}, loss(0.48, 3.84, 4.8)
            ),
        },
    ),
    Built(
        "small alpha",
        run(STILL_HIGH, "lora.r=32", "lora_alpha=1", metrics=LEFT),
        step_size.held_back,
        FindingKind.HELD_BACK,
        {
            SuggestionKind.USUAL_STEPS: Change(
                {"lora.lora_alpha": (1.0, 64)}, loss(0.48, 3.84, 4.8)
            ),
        },
    ),
    Built(
        "rate too low",
        run([5.0] * 60, "learning_rate=2e-5", metrics={"eval_loss": 4.8}),
        learning_rate.learning_rate_too_low,
        FindingKind.LEARNING_RATE_TOO_LOW,
        {SuggestionKind.RAISE_LEARNING_RATE: Change({LR: (2e-5, 2e-4)}, loss(0.48, 3.36, 4.8))},
    ),
    Built(
        "still falling",
        run(FALLING, evals={20: 2.0, 40: 0.5, 60: 0.34}),
        learning_rate.underfitting,
        FindingKind.UNDERFITTING,
        {
            SuggestionKind.RAISE_LEARNING_RATE: Change({LR: (1e-4, 3e-4)}, loss(0.17, 0.306)),
            SuggestionKind.TRAIN_LONGER: Change({EPOCHS: (3.0, 6.0)}, loss(0.1, 0.308)),
        },
    ),
    Built(
        "overfitting",
        run(FALLING, evals={20: 0.2, 40: 0.3, 60: 0.5}, metrics={"eval_loss": 0.5}),
        generalization.overfitting,
        FindingKind.OVERFITTING,
        {
            SuggestionKind.FEWER_EPOCHS: Change({EPOCHS: (3.0, 1.0)}, loss(0.18, 0.35, 0.5)),
            SuggestionKind.KEEP_BEST: Change(
                {"training.keep": ("last", "best")}, loss(0.194, 0.206, 0.5)
            ),
            SuggestionKind.MORE_DROPOUT: Change(
                {"lora.lora_dropout": (0.0, 0.1)}, loss(0.425, 0.5, 0.5)
            ),
        },
    ),
    Built(
        "memorized",
        by_heart(),
        generalization.memorised,
        FindingKind.MEMORISED,
        {
            SuggestionKind.FEWER_EPOCHS: Change({EPOCHS: (3.0, 1.5)}, loss(0.63, 0.9, 0.9)),
            SuggestionKind.MORE_DROPOUT: Change(
                {"lora.lora_dropout": (0.0, 0.1)}, loss(0.765, 0.9, 0.9)
            ),
            SuggestionKind.MORE_DATA: Advice(
                "add at least 40 new training rows for the same", None
            ),
        },
    ),
    Built(
        "memorized, all weights",
        by_heart("lora.enabled=false"),
        generalization.memorised,
        FindingKind.MEMORISED,
        {
            SuggestionKind.FEWER_EPOCHS: Change({EPOCHS: (3.0, 1.5)}, loss(0.63, 0.9, 0.9)),
            SuggestionKind.WEIGHT_DECAY: Change(
                {"training.weight_decay": (0.0, 0.01)}, loss(0.81, 0.9, 0.9)
            ),
            SuggestionKind.MORE_DATA: Advice(
                "add at least 40 new training rows for the same", None
            ),
        },
    ),
    Built(
        "gap",
        wider_gap(),
        generalization.generalisation_gap,
        FindingKind.GENERALISATION_GAP,
        {
            SuggestionKind.MORE_DROPOUT: Change(
                {"lora.lora_dropout": (0.0, 0.1)}, loss(0.659, 0.775, 0.775)
            )
        },
    ),
    Built(
        "gap of ten rows",
        gap_of_ten_rows,
        generalization.generalisation_gap,
        FindingKind.GENERALISATION_GAP,
        {SuggestionKind.MORE_EVAL_ROWS: Advice("hold out about 400 rows instead of 10", None)},
    ),
    Built(
        "small adapter",
        small_adapter(),
        settings.undertrained_adapter,
        FindingKind.UNDERTRAINED_ADAPTER,
        {
            SuggestionKind.ALL_LINEAR: Change(
                {"lora.target_modules": (["c_attn"], "all-linear")}, score(0.525, 0.8, 0.5)
            ),
            SuggestionKind.RAISE_RANK: Change(
                {"lora.r": (4, 16), "lora.lora_alpha": (8.0, 32.0)}, score(0.5, 0.65, 0.5)
            ),
        },
    ),
    Built(
        "gradient of nothing",
        run(FLAT, grads=[0.0] * 60),
        run_health.nothing_trained,
        FindingKind.NOTHING_TRAINED,
        {
            SuggestionKind.RAISE_MAX_LENGTH: Change(
                {"training.max_length": (1024, 2048)}, score(0.82, 0.96)
            )
        },
    ),
    Built(
        "loss on prompts",
        run(FLAT, "data.train_on=all", tokens_a_row=50),
        settings.diluted_loss,
        FindingKind.DILUTED_LOSS,
        {
            SuggestionKind.COMPLETION_ONLY: Change(
                {"data.train_on": ("all", "assistant")}, score(0.81, 0.92)
            )
        },
    ),
    Built(
        "cut training rows",
        cut_rows(),
        truncated_inputs,
        FindingKind.TRUNCATED_INPUTS,
        {
            SuggestionKind.RAISE_MAX_LENGTH: Change(
                {"training.max_length": (512, 700)}, score(0.82, 0.96)
            )
        },
    ),
    Built(
        "cut prompts",
        cut_prompts,
        truncated_inputs,
        FindingKind.TRUNCATED_INPUTS,
        {
            SuggestionKind.RAISE_EVAL_MAX_LENGTH: Change(
                {"evaluation.max_length": (64, None)}, score(0.8, 0.86)
            )
        },
    ),
    Built(
        "cut outputs",
        cut_outputs,
        ending,
        FindingKind.TRUNCATED_OUTPUTS,
        {
            SuggestionKind.MORE_NEW_TOKENS: Change(
                {"evaluation.max_new_tokens": (4, None)}, score(0.55, 0.95, 0.5)
            )
        },
    ),
    Built(
        "endless outputs",
        endless_outputs,
        ending,
        FindingKind.NO_END_TOKEN,
        {
            SuggestionKind.END_TOKEN: Advice(
                "train on completions that end with the tokenizer", score(0.86, 0.98)
            ),
            SuggestionKind.MORE_NEW_TOKENS: Change(
                {"evaluation.max_new_tokens": (8, None)}, score(0.82, 0.98)
            ),
        },
    ),
    Built(
        "outputs that do not end after rows that do",
        ended_rows,
        ending,
        FindingKind.NO_END_TOKEN,
        {SuggestionKind.TRAIN_LONGER: Change({EPOCHS: (3.0, 6.0)}, score(0.8, 0.9))},
    ),
    Built(
        "rows without an end",
        flawed_rows("no_stop"),
        rendered_rows.no_stop,
        FindingKind.NO_STOP,
        {
            SuggestionKind.NO_TEMPLATE: Change(
                {"data.chat_template": ("auto", "off")}, score(0.82, 0.98)
            ),
            SuggestionKind.OWN_TEMPLATE: Advice("set data.chat_template to a file", None),
        },
    ),
    Built(
        "a model without an end",
        endless_model,
        rendered_rows.no_stop,
        FindingKind.NO_STOP,
        {SuggestionKind.END_TOKEN: Advice("set training.eos_token to the model's", None)},
    ),
    Built(
        "dropped parts",
        flawed_rows("dropped"),
        rendered_rows.dropped,
        FindingKind.DROPPED,
        {SuggestionKind.OWN_TEMPLATE: Advice("set data.chat_template to a file", None)},
    ),
    Built(
        "another prompt",
        flawed_rows("other_prompt"),
        rendered_rows.other_prompt,
        FindingKind.OTHER_PROMPT,
        {SuggestionKind.OWN_TEMPLATE: Advice("set data.chat_template to a file", None)},
    ),
    Built(
        "other form",
        other_form,
        format_errors,
        FindingKind.FORMAT_ERRORS,
        {SuggestionKind.ONE_FORMAT: Advice("write all references in one form", score(0.86, 0.98))},
    ),
    Built(
        "one label",
        one_label,
        class_bias,
        FindingKind.CLASS_BIAS,
        {
            SuggestionKind.BALANCE_LABELS: Advice(
                "add training rows with the labels that the model rarely predicts, or remove rows "
                'labelled "refund"',
                score(0.325, 0.7, 0.25),
            )
        },
    ),
    Built(
        "weak label",
        weak_label,
        weak_slice,
        FindingKind.WEAK_SLICE,
        {
            SuggestionKind.MORE_ROWS: Advice(
                'add 12 to 24 training rows like the failures in the group "refund"',
                score(0.84, 0.94),
            )
        },
    ),
    Built(
        "label without rows",
        label_without_rows,
        missing_labels,
        FindingKind.DATA_GAP,
        {
            SuggestionKind.ROWS_FOR_GAP: Advice(
                'add 10 or more training rows labelled "login"', score(0.825, 0.975, 0.75)
            )
        },
    ),
    Built(
        "contradicted references",
        contradicted,
        suspect_references,
        FindingKind.LABEL_NOISE,
        {
            SuggestionKind.MEND_REFERENCES: Advice(
                "check the suspicious evaluation references", score(0.955, 0.995, 0.95)
            )
        },
    ),
    Built(
        "tripled rows",
        tripled,
        duplicates,
        FindingKind.DUPLICATES,
        {
            SuggestionKind.REMOVE_DUPLICATES: Advice(
                "keep only one copy of each repeated training", None
            )
        },
    ),
    Built(
        "leaked rows",
        leaked,
        leakage,
        FindingKind.LEAKAGE,
        {SuggestionKind.REMOVE_LEAKAGE: Advice("remove the held-out rows from the training", None)},
    ),
    Built(
        "worse than the base",
        worse,
        worse_than_base,
        FindingKind.WORSE_THAN_BASE,
        {SuggestionKind.LOWER_LEARNING_RATE: Change({LR: (1e-4, 3e-5)}, score(0.525, 0.75, 0.5))},
    ),
    Built(
        "forgotten",
        forgotten,
        forgetting,
        FindingKind.FORGETTING,
        {
            SuggestionKind.LOWER_LEARNING_RATE: Change({LR: (1e-4, 3e-5)}, score(0.81, 0.9)),
            SuggestionKind.LOWER_RANK: Change(
                {"lora.r": (16, 8), "lora.lora_alpha": (32.0, 16.0)}, score(0.8, 0.86)
            ),
        },
    ),
    Built(
        "eight rows",
        eight_rows,
        eval_too_small,
        FindingKind.EVAL_TOO_SMALL,
        {SuggestionKind.MORE_EVAL_ROWS: Advice("hold out about 400 rows instead of 8", None)},
    ),
    Built(
        "eight configs",
        eight_configs,
        evaluation_set.eval_overfit,
        FindingKind.EVAL_OVERFIT,
        {
            SuggestionKind.FRESH_EVAL: Advice(
                "draw a fresh evaluation split (tui-loop fresh written)", None
            )
        },
    ),
    Built(
        "no better config",
        no_better_config,
        evaluation_set.no_gain,
        FindingKind.PLATEAU,
        {
            SuggestionKind.REPLICATE: Advice("run iteration 1 again with a different seed", None),
            SuggestionKind.LOOK_AT_FAILURES: Advice("read the examples that still fail", None),
            SuggestionKind.RAISE_RANK: Change(
                {"lora.r": (16, 32), "lora.lora_alpha": (32.0, 64.0)}, score(0.8, 0.86)
            ),
            SuggestionKind.MORE_DATA: Advice("add at least 100 new training rows", None),
        },
    ),
    Built(
        "converged, training loss falls",
        converged(FALLING),
        learning_rate.loss_plateau,
        FindingKind.PLATEAU,
        {
            SuggestionKind.MORE_DROPOUT: Change(
                {"lora.lora_dropout": (0.0, 0.1)}, loss(0.68, 0.8, 0.8)
            ),
            SuggestionKind.MORE_DATA: Advice("add at least 40 new training rows", None),
        },
    ),
    Built(
        "converged",
        converged([0.8] * 60),
        learning_rate.loss_plateau,
        FindingKind.PLATEAU,
        {
            SuggestionKind.RAISE_RANK: Change(
                {"lora.r": (16, 32), "lora.lora_alpha": (32.0, 64.0)}, score(0.8, 0.86)
            )
        },
    ),
    Built(
        "one run of each",
        one_run_of_each,
        evaluation_set.undecided,
        FindingKind.UNDECIDED,
        {SuggestionKind.REPLICATE: Change({"training.seed": (42, 43)}, None)},
    ),
    Built(
        "idle time",
        idle_time(),
        settings.slow,
        FindingKind.SLOW,
        {
            SuggestionKind.FEWER_EVALUATIONS: Change({"training.eval_steps": (2, None)}, None),
            SuggestionKind.FEWER_CHECKPOINTS: Change({"training.save_steps": (2, 20)}, None),
            SuggestionKind.LARGER_MICRO_BATCH: Change({BATCH: (1, 8), PASSES: (16, 2)}, None),
        },
    ),
    Built(
        "padding",
        run(FLAT, metrics={"padding_share": 0.81}),
        settings.slow,
        FindingKind.SLOW,
        {SuggestionKind.PACK: Advice("set training.packing to true", None)},
    ),
    Built(
        "twelve capped steps",
        run(
            [5.0] * 12,
            "max_steps=12",
            "packing=true",
            "per_device_train_batch_size=64",
            metrics={**LEFT, "epochs": 0.5},
        ),
        learning_rate.underfitting,
        FindingKind.UNDERFITTING,
        {
            SuggestionKind.ALL_STEPS: Change(
                {"training.max_steps": (12, None)}, loss(0.48, 3.84, 4.8)
            ),
            SuggestionKind.NO_PACKING: Change(
                {"training.packing": (True, False)}, loss(0.48, 3.84, 4.8)
            ),
            SuggestionKind.SMALLER_BATCHES: Change({BATCH: (64, 16)}, loss(0.48, 3.84, 4.8)),
            SuggestionKind.RAISE_LEARNING_RATE: Change({LR: (1e-4, 1e-3)}, loss(0.48, 3.36, 4.8)),
        },
    ),
    Built(
        "adapter on one layer",
        run(
            [1.4] * 60,
            'target_modules=["c_attn", "c_proj"]',
            "lora.layers_to_transform=[0]",
            "learning_rate=2e-3",
            wrong=30,
            metrics={"eval_loss": 1.5},
        ),
        settings.undertrained_adapter,
        FindingKind.UNDERTRAINED_ADAPTER,
        {
            SuggestionKind.ALL_LINEAR: Change(
                {"lora.target_modules": (["c_attn", "c_proj"], "all-linear")},
                score(0.525, 0.8, 0.5),
            ),
            SuggestionKind.ALL_LAYERS: Change(
                {"lora.layers_to_transform": ([0], None)}, score(0.525, 0.85, 0.5)
            ),
            SuggestionKind.RAISE_RANK: Change(
                {"lora.r": (16, 32), "lora.lora_alpha": (32.0, 64.0)}, score(0.5, 0.65, 0.5)
            ),
        },
    ),
    Built(
        "prompts without room",
        prompts_without_room,
        truncated_inputs,
        FindingKind.TRUNCATED_INPUTS,
        {
            SuggestionKind.FEWER_NEW_TOKENS: Change(
                {"evaluation.max_new_tokens": (900, None)}, score(0.8, 0.9)
            )
        },
    ),
    Built(
        "exchanged columns",
        compared(rows_of((row.reference, row.prompt) for row in SEEN)),
        data_mismatch.exchanged_columns,
        FindingKind.EXCHANGED_COLUMNS,
        {SuggestionKind.MAP_COLUMNS: Advice("set the prompt and completion columns in", GREAT)},
    ),
    Built(
        "short prompts",
        with_short_prompts,
        data_mismatch.poor_prompts,
        FindingKind.POOR_PROMPTS,
        {SuggestionKind.MAP_COLUMNS: Advice("set the prompt in data.columns to the column", GREAT)},
    ),
    Built(
        "an impatient stop",
        run(
            [5.0] * 12,
            "early_stopping_patience=1",
            "eval_steps=2",
            metrics={**LEFT, "epochs": 0.5},
        ),
        learning_rate.underfitting,
        FindingKind.UNDERFITTING,
        {
            SuggestionKind.NO_EARLY_STOP: Change(
                {"training.early_stopping_patience": (1, None)}, loss(0.48, 3.84, 4.8)
            ),
            SuggestionKind.SMALLER_BATCHES: Change({BATCH: (8, 3)}, loss(0.48, 3.84, 4.8)),
            SuggestionKind.RAISE_LEARNING_RATE: Change({LR: (1e-4, 1e-3)}, loss(0.48, 3.36, 4.8)),
        },
    ),
    Built(
        "other label names",
        compared(renamed(SEEN, {"cancel": "cancell"})),
        data_mismatch.references_differ,
        FindingKind.REFERENCES_DIFFER,
        {SuggestionKind.SAME_REFERENCES: Advice("use the same labels, format and length", FAIR)},
    ),
    Built(
        "another template",
        compared(templated(SEEN)),
        data_mismatch.prompts_differ,
        FindingKind.PROMPTS_DIFFER,
        {SuggestionKind.SAME_PROMPTS: Advice("use the same template, system text", GREAT)},
    ),
    Built(
        "answers in the prompts",
        compared(told_before(SEEN)),
        data_mismatch.answer_in_prompt,
        FindingKind.ANSWER_IN_PROMPT,
        {SuggestionKind.REMOVE_HINTS: Advice("remove the reference from the training", GREAT)},
    ),
    Built(
        "two names",
        compared(half_of(SEEN, "refund", reference="re-fund")),
        row_quality.two_names,
        FindingKind.TWO_NAMES,
        {SuggestionKind.ONE_NAME: Advice("use one name per class", FAIR)},
    ),
    Built(
        "empty references",
        compared(half_of(SEEN, "refund", reference="")),
        row_quality.bad_references,
        FindingKind.BAD_REFERENCES,
        {
            SuggestionKind.REMOVE_ROWS: Advice(
                "correct the affected training references, or remove", score(0.525, 0.85, 0.5)
            )
        },
    ),
    Built(
        "questions about cooking",
        about_cooking,
        data_mismatch.other_vocabulary,
        FindingKind.OTHER_VOCABULARY,
        {SuggestionKind.ROWS_LIKE_EVAL: Advice("add training rows from the same source", GREAT)},
    ),
    Built(
        "mostly one label",
        compared([*messages(80, seed=5), *messages(120, seed=3, labels=("refund",))]),
        data_mismatch.unbalanced_labels,
        FindingKind.UNBALANCED_LABELS,
        {
            SuggestionKind.BALANCE_LABELS: Advice("give each label about the same share", FAIR),
            SuggestionKind.MEND_LABELS: Advice(
                'read some training rows with the reference "refund"', None
            ),
        },
    ),
    Built(
        "rows by label",
        compared(
            sorted(SEEN, key=lambda row: row.reference),
            "training.train_sampling_strategy=sequential",
        ),
        row_quality.sorted_rows,
        FindingKind.SORTED_ROWS,
        {
            SuggestionKind.SHUFFLE: Change(
                {"training.train_sampling_strategy": ("sequential", "random")}, LIKELY
            )
        },
    ),
    Built(
        "rows of another task",
        compared([*SEEN, *rows_of((f"how is it going {n}", "chitchat") for n in range(100))]),
        row_quality.unwanted_references,
        FindingKind.UNWANTED_REFERENCES,
        {SuggestionKind.REMOVE_ROWS: Advice("remove training rows with references", FAIR)},
    ),
    Built(
        "wrong encoding",
        misread,
        row_quality.garbled_text,
        FindingKind.GARBLED_TEXT,
        {SuggestionKind.MEND_ENCODING: Advice("open the file with its original encoding", FAIR)},
    ),
    Built(
        "few rows",
        few_known_rows(),
        row_quality.few_rows,
        FindingKind.FEW_ROWS,
        {
            SuggestionKind.MORE_DATA: Advice(
                "train on at least a few hundred distinct rows", score(0.525, 0.85, 0.5)
            )
        },
    ),
    Built(
        "few rows of many",
        few_known_rows("data.max_train_rows=30"),
        row_quality.few_rows,
        FindingKind.FEW_ROWS,
        {SuggestionKind.ALL_ROWS: Change({"data.max_train_rows": (30, None)}, LIKELY)},
    ),
    Built(
        "few rows of a source",
        few_known_rows(
            *("data.train={}", "data.train.a=train.jsonl", "data.train.a.max_rows=30"),
        ),
        row_quality.few_rows,
        FindingKind.FEW_ROWS,
        {
            SuggestionKind.ALL_ROWS: Change(
                {
                    "data.train": (
                        {"a": {"path": "train.jsonl", "max_rows": 30}},
                        {"a": {"path": "train.jsonl"}},
                    )
                },
                LIKELY,
            )
        },
    ),
    Built(
        "most rows held out",
        few_known_rows("data.eval_fraction=0.9"),
        row_quality.few_rows,
        FindingKind.FEW_ROWS,
        {SuggestionKind.ALL_ROWS: Change({"data.eval_fraction": (0.9, 0.1)}, LIKELY)},
    ),
    Built(
        "sampled outputs",
        measured_so("evaluation.do_sample=true", "evaluation.temperature=1.5"),
        measuring.sampled,
        FindingKind.SAMPLED,
        {
            SuggestionKind.GREEDY: Change(
                {"evaluation.do_sample": (True, False)}, score(0.525, 0.95, 0.5)
            )
        },
    ),
    Built(
        "a stop within a label",
        measured_so('evaluation.stop=["ll", "###"]'),
        measuring.stop_in_references,
        FindingKind.STOP_IN_REFERENCES,
        {SuggestionKind.OTHER_STOP: Change({"evaluation.stop": (["ll", "###"], ["###"])}, LIKELY)},
    ),
    Built(
        "labels compared as text",
        compared_as_text,
        measuring.metric_misfit,
        FindingKind.METRIC_MISFIT,
        {SuggestionKind.SET_METRIC: Change({"evaluation.metric": ("exact_match", "label")}, None)},
    ),
    Built(
        "answers that were not trained on",
        in_turns,
        measuring.partly_trained,
        FindingKind.PARTLY_TRAINED,
        {
            SuggestionKind.TRAIN_ALL_ANSWERS: Change(
                {"data.train_on": ("last", "assistant")}, score(0.55, 0.9, 0.5)
            )
        },
    ),
    Built(
        "a label that is not listed",
        measured_so('evaluation.labels=["billing", "cancel", "login"]'),
        measuring.label_not_listed,
        FindingKind.LABEL_NOT_LISTED,
        {
            SuggestionKind.ALL_LABELS: Change(
                {"evaluation.labels": (["billing", "cancel", "login"], None)}, LIKELY
            )
        },
    ),
    Built(
        "one label for another",
        taken_for_another,
        confused_labels,
        FindingKind.CONFUSED_LABELS,
        {
            SuggestionKind.MEND_LABELS: Advice(
                "compare training and evaluation rows", score(0.762, 0.9, 0.75)
            )
        },
    ),
    Built(
        "a short memory",
        run(STILL_HIGH, "training.adam_beta2=0.3", metrics=LEFT),
        unusual_settings.unusual_setting,
        FindingKind.UNUSUAL_SETTING,
        {
            SuggestionKind.USUAL_VALUE: Change(
                {"training.adam_beta2": (0.3, 0.999)}, score(0.82, 0.98)
            )
        },
    ),
    Built(
        "worse than the parent",
        fallen,
        lineage.worse_than_parent,
        FindingKind.WORSE_THAN_PARENT,
        {SuggestionKind.UNDO: Change({LR: (1e-2, 1e-4)}, LIKELY)},
    ),
    Built(
        "a failed start",
        from_a_failed_run,
        lineage.poor_start,
        FindingKind.POOR_START,
        {SuggestionKind.FRESH_START: Change({"model.init_adapter": (1, None)}, LIKELY)},
    ),
    Built(
        "low score, good loss",
        run(FLAT, "learning_rate=1e-3", wrong=45, metrics={"eval_loss": 0.2}),
        without_a_cause,
        FindingKind.UNEXPLAINED,
        {
            SuggestionKind.ON_TRAINING_ROWS: Change(
                {"data.eval": (None, "train.jsonl"), "data.max_eval_rows": (None, 100)}, None
            ),
            SuggestionKind.SMALLER_RATE: Change({LR: (1e-3, 2e-4)}, None),
        },
    ),
    Built(
        "much loss is left",
        run(STILL_HIGH, "learning_rate=2e-5", wrong=45, metrics=LEFT),
        without_a_cause,
        FindingKind.UNEXPLAINED,
        {
            SuggestionKind.LARGER_RATE: Change({LR: (2e-5, 1e-4)}, None),
            SuggestionKind.OVERFIT_FEW: Change(
                {"data.max_train_rows": (None, 20), EPOCHS: (3.0, 30)}, None
            ),
        },
    ),
    Built(
        "an experiment on training rows",
        tried_on_training_rows,
        unexplained.experiment,
        FindingKind.EXPERIMENT,
        {
            SuggestionKind.LOOK_AT_FAILURES: Advice(
                "go back to iteration 1; read its failures", None
            )
        },
    ),
)


@pytest.mark.parametrize("built", BUILT, ids=lambda each: each.name)
def test_a_finding_is_answered_with_these_changes_and_predictions(
    built: Built, tmp_path: Path
) -> None:
    case = built.make(Written(tmp_path))
    [finding] = list(built.rule(case))
    assert finding.kind is built.finding
    told = [each for advisor in ADVISORS[finding.kind] for each in advisor(case, finding)]
    assert [each.kind for each in told] == list(built.suggestions)
    for suggestion, wanted in zip(told, built.suggestions.values(), strict=True):
        assert suggestion.finding is built.finding
        assert suggestion.why
        if isinstance(wanted, Change):
            assert suggestion.changes == wanted.changes
        else:
            assert suggestion.changes == {}
            assert suggestion.action.startswith(wanted.action)
        _assert_predicted(suggestion, wanted.expects)


def test_every_kind_of_suggestion_is_built_for_a_finding_of_every_kind() -> None:
    assert {kind for each in BUILT for kind in each.suggestions} == set(SuggestionKind)
    assert {each.finding for each in BUILT} == set(FindingKind)
    assert len({each.name for each in BUILT}) == len(BUILT)


def _assert_predicted(suggestion: Suggestion, wanted: Range | None) -> None:
    """That the range is the one computed by hand, and lies where things get better."""
    expects = suggestion.expects
    if wanted is None:
        assert expects is None
        return
    assert expects is not None
    assert (expects.metric, expects.low, expects.high) == (wanted[0], wanted[2], wanted[3])
    assert expects.was == pytest.approx(wanted[1], abs=1e-9)
    if expects.metric == "score":
        assert expects.was - 1e-9 <= expects.low < expects.high <= 1
    else:
        assert 0 <= expects.low < expects.high <= expects.was + 1e-9
