"""The kinds of findings and of suggestions. Their values are stored in records and in `--json`.

`diagnosis.json` of a newer version may have kinds that are not declared here. So the stored structs
keep a kind as a string, and code that makes or compares a kind uses a member.
"""

from __future__ import annotations

from enum import StrEnum


class FindingKind(StrEnum):
    """The kinds of findings, in the order of the docs."""

    FAILED = "failed"
    DIVERGED = "diverged"
    LEARNING_RATE_TOO_HIGH = "learning_rate_too_high"
    UNSTABLE = "unstable"
    LEARNING_RATE_TOO_LOW = "learning_rate_too_low"
    UNDERFITTING = "underfitting"
    OVERFITTING = "overfitting"
    MEMORISED = "memorised"
    GENERALISATION_GAP = "generalisation_gap"
    UNDERTRAINED_ADAPTER = "undertrained_adapter"
    NOTHING_TRAINED = "nothing_trained"
    DILUTED_LOSS = "diluted_loss"
    TRUNCATED_INPUTS = "truncated_inputs"
    TRUNCATED_OUTPUTS = "truncated_outputs"
    NO_END_TOKEN = "no_end_token"
    FORMAT_ERRORS = "format_errors"
    CLASS_BIAS = "class_bias"
    WEAK_SLICE = "weak_slice"
    DATA_GAP = "data_gap"
    LABEL_NOISE = "label_noise"
    DUPLICATES = "duplicates"
    LEAKAGE = "leakage"
    WORSE_THAN_BASE = "worse_than_base"
    FORGETTING = "forgetting"
    EVAL_TOO_SMALL = "eval_too_small"
    EVAL_OVERFIT = "eval_overfit"
    PLATEAU = "plateau"
    UNDECIDED = "undecided"
    SLOW = "slow"


class SuggestionKind(StrEnum):
    """The kinds of suggestions, by subject: rates, amounts, lengths, data."""

    LOWER_LEARNING_RATE = "lower_learning_rate"
    CLIP_GRADIENTS = "clip_gradients"
    WARM_UP = "warm_up"
    RAISE_LEARNING_RATE = "raise_learning_rate"
    TRAIN_LONGER = "train_longer"
    FEWER_EPOCHS = "fewer_epochs"
    KEEP_BEST = "keep_best"
    MORE_DROPOUT = "more_dropout"
    WEIGHT_DECAY = "weight_decay"
    ALL_LINEAR = "all_linear"
    RAISE_RANK = "raise_rank"
    LOWER_RANK = "lower_rank"
    REPLICATE = "replicate"
    RAISE_MAX_LENGTH = "raise_max_length"
    RAISE_EVAL_MAX_LENGTH = "raise_eval_max_length"
    MORE_NEW_TOKENS = "more_new_tokens"
    COMPLETION_ONLY = "completion_only"
    SMALLER_MICRO_BATCH = "smaller_micro_batch"
    ACTIVATION_CHECKPOINTING = "activation_checkpointing"
    FEWER_EVALUATIONS = "fewer_evaluations"
    FEWER_CHECKPOINTS = "fewer_checkpoints"
    LARGER_MICRO_BATCH = "larger_micro_batch"
    PACK = "pack"
    MORE_ROWS = "more_rows"
    ROWS_FOR_GAP = "rows_for_gap"
    BALANCE_LABELS = "balance_labels"
    MORE_DATA = "more_data"
    MEND_LABELS = "mend_labels"
    REMOVE_DUPLICATES = "remove_duplicates"
    REMOVE_LEAKAGE = "remove_leakage"
    END_TOKEN = "end_token"
    ONE_FORMAT = "one_format"
    MORE_EVAL_ROWS = "more_eval_rows"
    FRESH_EVAL = "fresh_eval"
    LOOK_AT_FAILURES = "look_at_failures"
