"""Suggestions on truncation, on the loss, on memory and on time."""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.diagnosis.advice.building import gain, make_suggestion, propose
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding, Suggestion
from tui_loop.core.diagnosis.kinds import SuggestionKind
from tui_loop.core.text.untrusted import one_line

_TOKEN_LENGTH = 30

LARGEST_FACTOR = 8
"""A micro-batch grows by at most this factor at once; a run shows whether that was enough."""

LEFT_FREE = 0.8
"""Share of the GPU's memory that a larger micro-batch may need; fragments take some of the rest."""


def longer_inputs(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests longer limits for truncated training or evaluation rows."""
    if facts.config is None:
        return
    training, evaluation = facts.config.training, facts.config.evaluation
    is_of_held_out = "cut_for_loss" in finding.figures
    if training.max_length is not None and not is_of_held_out:
        longest = finding.figures.get("longest_row")
        longer = longest if isinstance(longest, int) else 2 * training.max_length
        yield propose(
            facts,
            finding,
            SuggestionKind.RAISE_MAX_LENGTH,
            {"training.max_length": longer},
            because="training rows were cut at max_length and lost part of their answers",
            expects=gain(facts, 0.1, 0.8),
            confidence="high",
            ground="truncation removes the end of a row first, where the answer is"
            + (f"; the longest row has {longest} tokens" if longest else ""),
        )
    if evaluation.max_length is not None and is_of_held_out:
        yield propose(
            facts,
            finding,
            SuggestionKind.RAISE_EVAL_MAX_LENGTH,
            {"evaluation.max_length": None},
            because="held-out rows lost the start of their prompts",
            expects=gain(facts, 0.0, 0.3),
            confidence="high" if finding.severity == "alarm" else "medium",
            ground="the run counted the affected rows",
        )
    elif evaluation.max_new_tokens is not None and is_of_held_out:
        # Prompt and output share the context of the model.
        yield propose(
            facts,
            finding,
            SuggestionKind.FEWER_NEW_TOKENS,
            {"evaluation.max_new_tokens": None},
            because="max_new_tokens leaves too little of the context for the prompt",
            expects=gain(facts, 0.0, 0.5),
            confidence="high" if finding.severity == "alarm" else "medium",
            ground="the run counted the affected rows; when unset, the limit is derived from the "
            "references",
        )


def longer_outputs(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests to unset the limit of new tokens, which is then derived from the references."""
    if facts.config is None:
        return
    limit = facts.config.evaluation.max_new_tokens
    if limit is None:
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.MORE_NEW_TOKENS,
        {"evaluation.max_new_tokens": None},
        because=f"the limit of {limit} new tokens cut outputs before they reached the answer",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="when unset, the limit is derived from the references; the base model is then "
        "evaluated again",
    )


def loss_on_the_answer(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the loss on answers alone, where prompts are trained on too."""
    if facts.config is None or facts.config.data.train_on != "all":
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.COMPLETION_ONLY,
        {"data.train_on": "assistant"},
        because="most of the trained tokens belong to the prompts, not to the answers",
        # The eval loss covers other tokens then, so that only a score can be predicted.
        expects=gain(facts, 0.05, 0.6) if facts.metric("score") is not None else None,
        confidence="medium",
    )


def without_template(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests rows without a chat template, which end with the end-of-sequence token.

    Conversations and tools need a template, and a model without such a token has no end at all.
    """
    rendering, columns = facts.rendering, facts.effective.get("columns")
    if rendering is None or rendering.template is None or not rendering.eos_token:
        return
    has_tools = not isinstance(columns, dict) or "tools" in columns
    if facts.effective.get("shape") == "messages" or has_tools:
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.NO_TEMPLATE,
        {"data.chat_template": "off"},
        because="the chat template adds no end token to answers; without a template, each row ends "
        f"with {one_line(rendering.eos_token, _TOKEN_LENGTH)}",
        expects=gain(facts, 0.1, 0.9),
        confidence="medium",
        ground="the run counted the rows without an end token; the base model will be evaluated "
        "again",
    )


def less_memory(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests changes that save memory and do not affect the result, the cheapest first."""
    if facts.config is None or finding.figures.get("error") != "oom":
        return
    training = facts.config.training
    size = training.per_device_train_batch_size
    if size > 1:
        half = max(each for each in range(1, size) if size % each == 0)
        yield propose(
            facts,
            finding,
            SuggestionKind.SMALLER_MICRO_BATCH,
            {
                "training.per_device_train_batch_size": half,
                "training.gradient_accumulation_steps": training.gradient_accumulation_steps
                * (size // half),
            },
            because="the run does not fit into memory; the effective batch size stays the same",
            confidence="high",
            ground="fewer rows at once need less memory; the result is the same but for rounding",
        )
    if not training.activation_checkpointing:
        yield propose(
            facts,
            finding,
            SuggestionKind.ACTIVATION_CHECKPOINTING,
            {"training.activation_checkpointing": True},
            because="the run does not fit into memory; activation checkpointing saves memory but "
            "takes about a third more time",
            confidence="high",
            ground="activations are computed again in the backward pass instead of stored",
        )


def faster(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests changes that save time, without an expected effect on the score."""
    if facts.config is None:
        return
    training = facts.config.training
    shares = finding.figures
    if "eval_steps_share" in shares:
        yield propose(
            facts,
            finding,
            SuggestionKind.FEWER_EVALUATIONS,
            {"training.eval_steps": None},
            because="evaluations took much of the training time; without eval_steps there is one "
            "per epoch",
            confidence="high",
            ground="measured in this run",
        )
    if "save_steps_share" in shares and training.save_steps:
        yield propose(
            facts,
            finding,
            SuggestionKind.FEWER_CHECKPOINTS,
            {"training.save_steps": 10 * training.save_steps},
            because="saving checkpoints took much of the training time",
            confidence="high",
            ground="measured in this run",
        )
    if "passes" in shares:
        size = min(8, training.gradient_accumulation_steps)
        yield propose(
            facts,
            finding,
            SuggestionKind.LARGER_MICRO_BATCH,
            {
                "training.per_device_train_batch_size": size,
                "training.gradient_accumulation_steps": max(
                    1, training.gradient_accumulation_steps // size
                ),
            },
            because="each micro-batch had one short row; the effective batch size stays the same",
            confidence="high",
            ground="several short rows should fit into memory; if not, the run splits the batch",
        )
    elif shares.get("is_cpu_bound"):
        yield from _larger_passes(facts, finding)
    if "padding_share" in shares:
        yield make_suggestion(
            finding,
            SuggestionKind.PACK,
            "set training.packing to true (this regroups the rows: compare results with care)",
            because="most of the computed tokens are padding",
        )


def _larger_passes(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests fewer and larger passes for a GPU that waits for the CPU, as its memory allows."""
    if facts.config is None:
        return
    training = facts.config.training
    passes, share = training.gradient_accumulation_steps, finding.figures.get("gpu_memory_share")
    # All memory in use would grow with the batch at most, so this stays within the GPU's.
    most = min(LARGEST_FACTOR, LEFT_FREE / share) if isinstance(share, float) and share else 2
    factor = max(
        each for each in range(1, passes + 1) if passes % each == 0 and each <= max(1, most)
    )
    if factor > 1:
        yield propose(
            facts,
            finding,
            SuggestionKind.LARGER_MICRO_BATCH,
            {
                "training.per_device_train_batch_size": factor
                * training.per_device_train_batch_size,
                "training.gradient_accumulation_steps": passes // factor,
            },
            because="the GPU waits for the CPU between small micro-batches; the effective batch "
            "size stays the same",
            confidence="medium",
            ground="measured on the GPU and CPU during this run",
        )
    elif not training.packing:
        yield make_suggestion(
            finding,
            SuggestionKind.PACK,
            "set training.packing to true (this regroups the rows: compare results with care)",
            because="the GPU waits for the CPU; packing means fewer, larger micro-batches",
        )
