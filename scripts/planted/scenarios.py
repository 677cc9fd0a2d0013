"""The table of planted problems (`scenarios.toml`), and the settings that all of them share."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.diagnosis.kinds import FindingKind

KINDS = (
    FindingKind.DIVERGED,
    FindingKind.UNSTABLE,
    FindingKind.LEARNING_RATE_TOO_HIGH,
    FindingKind.HELD_BACK,
    FindingKind.LEARNING_RATE_TOO_LOW,
    FindingKind.UNDERFITTING,
    FindingKind.OVERFITTING,
    FindingKind.MEMORISED,
    FindingKind.PLATEAU,
    FindingKind.GENERALISATION_GAP,
    FindingKind.NO_STOP,
    FindingKind.TRUNCATED_INPUTS,
    FindingKind.TRUNCATED_OUTPUTS,
    FindingKind.NO_END_TOKEN,
    FindingKind.FORMAT_ERRORS,
    FindingKind.CLASS_BIAS,
    FindingKind.WEAK_SLICE,
    FindingKind.DATA_GAP,
    FindingKind.LABEL_NOISE,
    FindingKind.DUPLICATES,
    FindingKind.LEAKAGE,
    FindingKind.NOTHING_TRAINED,
    FindingKind.WORSE_THAN_BASE,
    FindingKind.FORGETTING,
    FindingKind.EVAL_TOO_SMALL,
    FindingKind.EVAL_OVERFIT,
    FindingKind.UNDERTRAINED_ADAPTER,
    FindingKind.SLOW,
    FindingKind.DILUTED_LOSS,
)
"""The kinds of findings that are planted, in the order in which they are listed."""

SETS = {
    "@data": "truncated_inputs duplicates leakage label_noise data_gap",
    "@rate": "diverged unstable learning_rate_too_high held_back learning_rate_too_low "
    "nothing_trained",
    "@output": "no_stop truncated_outputs no_end_token format_errors",
    "@end": "worse_than_base forgetting eval_overfit undertrained_adapter",
}
"""Kinds that are false together; the table names them so."""

TEMPLATE = 'data.prompt_template="Message: {prompt}\\nIntent:"'
COMMON = (
    "learning_rate=2e-3",
    "num_train_epochs=4",
    "per_device_train_batch_size=8",
    "training.max_length=256",
    "logging_steps=3",
    "save_steps=0",
    "lora.r=8",
    "lora_alpha=16",
    "evaluation.train_rows=96",
    "run.cpu_threads=1",
)
"""A sound config, logged and measured no more closely than the rules need."""

LEAN = ("max_eval_rows=80", "logging_steps=4", "evaluation.train_rows=64", "eval_steps=102")
"""Of the runs with a fault, so that their records are small."""

NOT_OF_THE_HEALTHY = frozenset((*SETS, "memorised", "class_bias", "slow", "diluted_loss"))


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A loop made by real runs, and what a diagnosis of iteration `look` is to say of it.

    `settings`: of iteration 1; `later`: of those after it, each from the one before. `must`,
    `must_not`: kinds of findings that are true and that are false; of the others both can be
    argued.
    """

    name: str
    planted: str = ""
    train: str = "train"
    eval: str = "eval"
    metric: str = "label"
    model: str = "tiny"
    is_templated: bool = True
    seed: int = 42
    base: bool = True
    settings: tuple[str, ...] = msgspec.field(default=(), name="set")
    later: tuple[tuple[str, ...], ...] = ()
    look: int = 1
    must: frozenset[str] = frozenset()
    must_not: frozenset[str] = frozenset()

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong, so that no alarm may come."""
        return not self.planted


def _read() -> tuple[Scenario, ...]:
    path = Path(__file__).with_suffix(".toml")
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(_scenario(name, table) for name, table in tables.items())


def _scenario(name: str, table: dict[str, Any]) -> Scenario:
    is_healthy = "planted" not in table
    scenario = msgspec.convert({"name": name, **table}, Scenario)
    return msgspec.structs.replace(
        scenario,
        settings=scenario.settings if is_healthy else (*LEAN, *scenario.settings),
        must=_kinds(scenario.must),
        must_not=_kinds(scenario.must_not | (NOT_OF_THE_HEALTHY if is_healthy else set())),
    )


def _kinds(names: frozenset[str]) -> frozenset[str]:
    kinds = frozenset(kind for name in names for kind in SETS.get(name, name).split())
    if unknown := kinds - set(KINDS):
        raise ValueError(f"scenarios.toml: no such kinds: {', '.join(sorted(unknown))}")
    return kinds


SCENARIOS = _read()
BY_NAME = {each.name: each for each in SCENARIOS}
