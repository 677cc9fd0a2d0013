"""Names that columns usually have."""

from __future__ import annotations

from itertools import product

PROMPTS = ("prompt", "question", "query", "input", "instruction")
ANSWERS = ("completion", "response", "answer", "answers", "output", "reply")
PAIRS = frozenset(
    {
        *product(PROMPTS, ANSWERS),
        *product(PROMPTS, ("target", "ground_truth", "solution", "canonical_solution")),
        *(("source", "target"), ("problem", "solution"), ("problem", "answer")),
        *(("user", "assistant"), ("human", "assistant"), ("human", "gpt")),
        *product(("text", "article", "document", "dialogue"), ("summary",)),
    }
)
"""Names that usually go together as a prompt and its answer."""

DIALOGUES = ("data", "dialog", "dialogue", "conversation", "turns", "utterances")
"""Columns that hold the texts of a conversation in some data sets."""

LABELS = ("label", "labels", "label_text", "category", "class", "intent", "sentiment")
TEXTS = ("text", "sentence", "message", "utterance", "review", "comment", "content", *PROMPTS)

CONTEXT = {
    "system": ("system", "system_prompt"),
    "history": ("history",),
    "tools": ("tools", "functions"),
}
"""Roles beside prompt and answer, and the columns that have them where the values fit."""

CONTEXT_NAMES = frozenset(name for usual in CONTEXT.values() for name in usual)

COMMON_NAMES = frozenset(
    {
        *PROMPTS,
        *ANSWERS,
        *LABELS,
        *TEXTS,
        *CONTEXT_NAMES,
        *(name for pair in PAIRS for name in pair),
    }
    | {"id", "source", "messages", "chosen", "rejected", "context", "title", "timestamp"}
)
"""Names that show that a line names columns."""
