"""The kinds of preflight results; their values are in `check --json`."""

from __future__ import annotations

from enum import StrEnum


class CheckKind(StrEnum):
    """What a preflight check can find, in the order of the checks."""

    # The config and the files.
    CONFIG = "config"
    DATA = "data"
    HIGH_RATE = "high_rate"

    # Rows that a run would refuse; the values of the first four are those of `RowFault`.
    EMPTY_ROWS = "empty_rows"
    WRONG_ROLES = "wrong_roles"
    UNREADABLE_ROWS = "unreadable_rows"
    UNKNOWN_LABEL = "unknown_label"
    NO_ROWS = "no_rows"

    # The content of rows, and their unused parts.
    PREFERENCE_DATA = "preference_data"
    UNUSED_COLUMNS = "unused_columns"
    UNUSED_KEYS = "unused_keys"
    TOOL_CALLS = "tool_calls"
    DUPLICATE_ROWS = "duplicate_rows"
    CONFLICTING_LABELS = "conflicting_labels"
    LEAKAGE_EXACT = "leakage_exact"
    LEAKAGE_NEAR = "leakage_near"
    UNTRAINED_LABELS = "untrained_labels"
    FEW_EVAL_ROWS = "few_eval_rows"
    HELD_OUT = "held_out"

    # Steps.
    STEPS = "steps"
    NO_STEPS = "no_steps"
    BATCH = "batch"
    WARMUP = "warmup"

    # Checks that need the model's tokenizer and sizes.
    LEFT_OUT = "left_out"
    MODEL = "model"
    TOKENS = "tokens"
    TRAINED_SHARE = "trained_share"
    FULLY_MASKED = "fully_masked"
    TOO_LONG = "too_long"
    BEYOND_CONTEXT = "beyond_context"
    PADDING = "padding"
    SIZES = "sizes"
    MEMORY = "memory"
    DISK = "disk"
