"""Rows of data for the tests of the audit."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from tui_loop.core.data.rows import Message, Row

SUBJECTS = {
    "refund": "money back paid charge return cash",
    "login": "password account sign locked email code",
    "shipping": "parcel courier delivery tracking arrive address",
}
FILLER = ("please", "could", "you", "tell", "me", "about", "my", "the", "again", "today", "order")


def rows_of(pairs: Iterable[tuple[str, str]], side: str = "t") -> list[Row]:
    """Rows of (prompt, reference) with the ids t0, t1 ..."""
    return [
        Row(f"{side}{number}", prompt, reference, number + 1)
        for number, (prompt, reference) in enumerate(pairs)
    ]


def messages(label: str, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Different prompts about a label's subject, each with the label."""
    generator = random.Random(f"{label} {seed}")
    words = SUBJECTS[label].split()
    return [
        (
            " ".join([*generator.sample(FILLER, 5), *generator.sample(words, 2), str(number)]),
            label,
        )
        for number in range(count)
    ]


def sound(count: int = 40, side: str = "t", labels: Sequence[str] = tuple(SUBJECTS)) -> list[Row]:
    """Rows without a fault, in random order: `count` of each label."""
    seed = 0 if side == "t" else 1
    pairs = [pair for label in labels for pair in messages(label, count, seed)]
    random.Random(seed).shuffle(pairs)
    return rows_of(pairs, side)


def chat(name: str, *turns: tuple[str, str]) -> Row:
    """A row of (role, content) turns, as reading a file makes it."""
    said = tuple(Message(role, content) for role, content in turns)
    prompt = "\n".join(f"{turn.role}: {turn.content}" for turn in said[:-1])
    return Row(name, prompt, said[-1].content, 1, said)
