"""The reasoning and the answer of an output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work import calls_of
from tui_loop.core.reasoning import answer_of, split_reasoning

FINAL = "<|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("output", "reasoning", "answer"),
    [
        ("<think>\nTwo dozen is 24.\n</think>\n\n24", "Two dozen is 24.", "24"),
        ("<think></think>24", "", "24"),
        ("  <think>Hm.</think>24 \n", "Hm.", "24 \n"),
        ("Two dozen is 24.\n</think>\n24", "Two dozen is 24.", "24"),
        ("<think>Two dozen is", "Two dozen is", ""),
        ("<think>Hm.</think>", "Hm.", ""),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("[THINK]Hm.[/THINK]24", "Hm.", "24"),
        ("Hm.[/THINK]24", "Hm.", "24"),
        ("[THINK]Hm.", "Hm.", ""),
        (f"<|channel|>analysis<|message|>Hm.<|end|>{FINAL}24<|return|>", "Hm.", "24"),
        ("<|channel|>final<|message|>24", "", "24"),
        (
            "<|channel|>analysis<|message|>Hm.assistant<|channel|>analysis<|message|> So."
            "assistant<|channel|>final<|message|>24",
            "Hm. So.",
            "24",
        ),
        ("<|channel|>analysis<|message|>Hm.", "Hm.", ""),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
            "to=functions.lock_door<|message|>{}",
            "Hm.",
            "<|channel|>commentary to=functions.lock_door<|message|>{}",
        ),
    ],
)
def test_reasoning_is_split_from_the_answer(output: str, reasoning: str, answer: str) -> None:
    assert split_reasoning(output) == (reasoning, answer)
    assert answer_of(output) == answer


@pytest.mark.parametrize(
    "output",
    [
        "",
        " 24\n",
        "Put it between <think> marks.",
        "Put it between <think> and </think>.",
        "gpt-oss writes <|channel|>analysis first",
        "[think]24",
    ],
)
def test_an_output_without_reasoning_is_unchanged(output: str) -> None:
    assert split_reasoning(output) == ("", output)


MARKS = ["<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>", "<|message|>", "analysis"]


@given(st.lists(st.sampled_from([*MARKS, "final", "<|start|>", "<|end|>", "x", "\n"])))
def test_any_output_is_split(pieces: list[str]) -> None:
    output = "".join(pieces)
    reasoning, answer = split_reasoning(output)
    assert len(reasoning) + len(answer) <= len(output)


@pytest.mark.parametrize("piece", MARKS)
def test_the_work_for_hostile_output_grows_with_its_length(piece: str) -> None:
    small, large = piece * 1_000, piece * 10_000
    few, many = (calls_of(lambda text=text: split_reasoning(text)) for text in (small, large))  # type: ignore[misc]
    assert many <= 12 * few + 100
