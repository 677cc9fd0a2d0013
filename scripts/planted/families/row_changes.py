"""Changes of rows that open families plant, and edits that undo them.

A change of rows is made from a rewriting of texts, or from a choice of rows. `strength` is the
share of the rows that is changed, where nothing else is said.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from scripts.planted.families.family import Change, Edit
from scripts.planted.families.tasks import BY_NAME, Row, Rows

Rewrite = Callable[[str], str]


def same(text: str) -> str:
    """Returns a text as it is."""
    return text


def rewritten(row: Row, *, prompt: Rewrite = same, answer: Rewrite = same) -> Row:
    """Returns a row with other prompts and other answers; answers have no space at their start."""
    if "messages" in row:
        by_role = {"user": prompt, "assistant": answer}
        turns = row["messages"]
        return {
            **row,
            "messages": [
                {**turn, "content": by_role.get(turn["role"], same)(turn["content"])}
                for turn in turns
            ],
        }
    completion = f" {answer(row['completion'].strip())}"
    return {**row, "prompt": prompt(row["prompt"]), "completion": completion}


def answer_of(row: Row) -> str:
    """Returns the last answer of a row, without the space at its start."""
    text: str = row["messages"][-1]["content"] if "messages" in row else row["completion"]
    return text.strip()


def some(rows: Rows, share: float, random_: random.Random, change: Callable[[Row], Row]) -> Rows:
    """Changes a share of the rows, which are chosen by chance and stay where they are."""
    chosen = set(random_.sample(range(len(rows)), round(share * len(rows))))
    return [change(row) if number in chosen else row for number, row in enumerate(rows)]


def texts(*, prompt: Rewrite = same, answer: Rewrite = same) -> Change:
    """Returns the change that rewrites the texts of a share of the rows."""

    def change(rows: Rows, share: float, random_: random.Random) -> Rows:
        return some(rows, share, random_, lambda row: rewritten(row, prompt=prompt, answer=answer))

    return change


def relabelled(names: Mapping[str, str]) -> Change:
    """Returns the change that gives words of the answers other names."""
    return texts(answer=replacing(names))


def replacing(names: Mapping[str, str]) -> Rewrite:
    """Returns the rewriting that replaces whole words."""
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
    return lambda text: pattern.sub(lambda found: names[found[0]], text)


def without(*answers: str) -> Change:
    """Returns the change that leaves out a share of the rows with these answers."""

    def change(rows: Rows, share: float, random_: random.Random) -> Rows:
        of_these = [number for number, row in enumerate(rows) if answer_of(row) in answers]
        gone = set(random_.sample(of_these, round(share * len(of_these))))
        return [row for number, row in enumerate(rows) if number not in gone]

    return change


def wrong_answers(rows: Rows, share: float, random_: random.Random) -> Rows:
    """Gives a share of the rows the answer of another class."""
    known = sorted({answer_of(row) for row in rows})

    def change(row: Row) -> Row:
        others = [answer for answer in known if answer != answer_of(row)]
        wrong = random_.choice(others)
        return rewritten(row, answer=lambda _: wrong)

    return some(rows, share, random_, change)


def hinted(rows: Rows, share: float, random_: random.Random) -> Rows:
    """Writes the answer into the prompt of a share of the rows."""
    return some(rows, share, random_, lambda row: rewritten(row, prompt=_hint(answer_of(row))))


def _hint(answer: str) -> Rewrite:
    return lambda text: f"[{answer}] {text}"


def sorted_by_answer(rows: Rows, strength: float, random_: random.Random) -> Rows:
    """Sorts the rows by their answer."""
    return sorted(rows, key=answer_of)


def repeated(rows: Rows, strength: float, random_: random.Random) -> Rows:
    """Repeats `strength` rows until there are as many rows as before."""
    kept = rows[: int(strength)]
    return [kept[number % len(kept)] for number in range(len(rows))]


def exchanged(rows: Rows, share: float, random_: random.Random) -> Rows:
    """Exchanges prompt and completion of a share of the rows."""
    return some(
        rows,
        share,
        random_,
        lambda row: {**row, "prompt": answer_of(row), "completion": f" {row['prompt']}"},
    )


def garbled(length: int) -> Change:
    """Returns the change that gives a share of the rows an answer of `length` random words."""

    def change(rows: Rows, share: float, random_: random.Random) -> Rows:
        def broken(row: Row) -> Row:
            words = random_words(random_, length)
            return rewritten(row, answer=lambda _: words)

        return some(rows, share, random_, broken)

    return change


def noted(rows: Rows, strength: float, random_: random.Random) -> Rows:
    """Puts a note of `strength` random words before each prompt."""

    def note(row: Row) -> Row:
        words = random_words(random_, int(strength))
        return rewritten(row, prompt=lambda text: f"{words}\n{text}")

    return [note(row) for row in rows]


def random_words(random_: random.Random, count: int) -> str:
    """Returns words that no rule predicts."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return " ".join("".join(random_.choices(letters, k=4)) for _ in range(count))


def misread(text: str) -> str:
    """Returns a text with no-break spaces, which is UTF-8 that was read as Latin-1."""
    return text.replace(" ", "\u00a0").encode().decode("latin-1")


def new_rows(task: str, seed: int, change: Change) -> Change:
    """Returns the change that adds the training rows of another seed, changed by `change`."""

    def add(rows: Rows, strength: float, random_: random.Random) -> Rows:
        return rows + change(BY_NAME[task].rows(seed)[0], strength, random_)

    return add


def in_training(change: Change, strength: float = 1) -> Edit:
    """Returns the edit that changes the training rows."""

    def edit(train: Rows, held_out: Rows, random_: random.Random) -> tuple[Rows, Rows]:
        return change(train, strength, random_), held_out

    return edit


def in_eval(change: Change, strength: float = 1) -> Edit:
    """Returns the edit that changes the evaluation rows."""

    def edit(train: Rows, held_out: Rows, random_: random.Random) -> tuple[Rows, Rows]:
        return train, change(held_out, strength, random_)

    return edit
