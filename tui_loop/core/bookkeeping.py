"""Which config fields are no part of what an iteration tries."""

from __future__ import annotations

from tui_loop.core.schema import Config

SEED = "training.seed"

BOOKKEEPING = frozenset(
    {
        SEED,
        *(f"training.{name}" for name in ("logging_steps", "eval_steps", "save_steps")),
        *(f"training.{name}" for name in ("save_total_limit", "activation_checkpointing")),
        *(f"evaluation.{name}" for name in ("base", "batch_size", "train_rows")),
        *(f"run.{name}" for name in Config().run.__struct_fields__),
    }
)
"""Fields that are no part of what is tried: seed, how often is logged, where it runs."""
