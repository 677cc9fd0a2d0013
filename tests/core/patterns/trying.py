"""Trials as tests state them."""

from __future__ import annotations

from typing import Any

from tui_loop.core.patterns.trials import Trial, trials_from
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Iteration

RATE = "training.learning_rate"


def trial(number: int, *, loop: str = "intents", seed: int = 42, **more: Any) -> Trial:
    """A finished trial on tiny; `rate` and any `group.field` as `group__field` may be named."""
    config: dict[str, Any] = {RATE: more.pop("rate", 1e-4), "training.seed": seed}
    config |= {key.replace("__", "."): more.pop(key) for key in list(more) if "__" in key}
    settings = repr(sorted((name, v) for name, v in config.items() if name != "training.seed"))
    fields: dict[str, Any] = {"base": "tiny", "is_lora": True, "ended": "finished", **more}
    return Trial(loop=loop, number=number, config=config, settings=settings.encode(), **fields)


def changed(number: int, parent: Trial, claim: str = "", **more: Any) -> Trial:
    """A child that changes some fields of `parent`, with the claim that was made on it."""
    own = {
        name.replace(".", "__"): value
        for name, value in parent.config.items()
        if name not in (RATE, "training.seed")
    }
    fields = {**own, "rate": parent.config[RATE], "loop": parent.loop, **more}
    fields.setdefault("replicates", 2 if claim in ("better", "worse") else 1)
    made = trial(number, parent=parent.number, against_parent=claim, **fields)
    differs = {
        name: (parent.config.get(name), value)
        for name, value in made.config.items()
        if name != "training.seed" and parent.config.get(name) != value
    }
    return Trial(**{**{n: getattr(made, n) for n in made.__struct_fields__}, "changed": differs})


def trials_in(loop: LoopFolder, *iterations: Iteration) -> tuple[list[Trial], int]:
    return trials_from(loop.name, iterations, loop)
