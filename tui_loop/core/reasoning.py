"""Splits an output into its reasoning and its answer.

The marks are those of Qwen and DeepSeek (`<think>`), Mistral (`[THINK]`) and gpt-oss (channels).
A chat template may end the prompt in the opening mark, so that the output has the closing one only.
Reasoning that the token limit cut off has no closing mark: there is no answer then.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PAIRS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))
_CHANNEL = "<|channel|>"
_CHANNELS = re.compile(r"<\|channel\|>(\w*)")
_HEADER = r"(?:(?:<\|start\|>)?assistant)?"  # an output may be without the special tokens
_MESSAGE = re.compile(rf"{_HEADER}<\|channel\|>analysis<\|message\|>|<\|end\|>|{_HEADER}\Z")
_FINAL = re.compile(r"<\|channel\|>final(?:<\|message\|>)?")
_ENDS = ("<|return|>", "<|end|>")


class SplitOutput(NamedTuple):
    """The reasoning of an output, "" where it has none, and its answer."""

    reasoning: str
    answer: str


def split_reasoning(output: str) -> SplitOutput:
    """Returns the reasoning and the answer; the answer of an output without marks is all of it."""
    for opening, closing in _PAIRS:
        # The search for the closing mark decides quickly for most outputs.
        if closing in output or output.lstrip().startswith(opening):
            return _split_at(output, opening, closing)
    return _split_channels(output) if _CHANNEL in output else SplitOutput("", output)


def answer_of(output: str | None) -> str:
    """Returns the output without its reasoning, "" where there is no output."""
    return split_reasoning(output or "").answer


def _split_at(output: str, opening: str, closing: str) -> SplitOutput:
    """Splits at the end of the block of reasoning with which the output starts."""
    before, _, rest = output.partition(opening)
    if before.strip() and closing not in before:  # the marks are part of the answer
        return SplitOutput("", output)
    reasoning, closed, answer = (output if before.strip() else rest).partition(closing)
    return SplitOutput(reasoning.strip(), answer.lstrip() if closed else "")


def _split_channels(output: str) -> SplitOutput:
    """Splits before the first channel of gpt-oss that is not `analysis`."""
    start = next((each for each in _CHANNELS.finditer(output) if each[1] != "analysis"), None)
    end = len(output) if start is None else start.start()
    if start is None and not output.lstrip().startswith((_CHANNEL, "<|start|>")):
        return SplitOutput("", output)
    reasoning = _MESSAGE.sub("", output[:end]).strip()
    answer = _FINAL.sub("", output[end:], count=1)
    for mark in _ENDS:
        answer = answer.removesuffix(mark)
    return SplitOutput(reasoning, answer.lstrip())
