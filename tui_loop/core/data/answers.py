"""Takes conversations apart into their answers, for `evaluation.turns = all`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_loop.core.data.conversations import shown_turns, text_of
from tui_loop.core.data.rows import Row


def by_answer(rows: Sequence[Row]) -> list[Row]:
    """Returns one row for each answer of each conversation, in order.

    The answer is its last turn. Answers that the row itself excludes from training are left out,
    since they are no references. The n-th answer of row `x` has the id `x:n`.
    """
    return [answer for row in rows for answer in (_answers(row) if row.messages else [row])]


def _answers(row: Row) -> list[Row]:
    turns = row.messages
    places = [
        place
        for place, turn in enumerate(turns)
        if turn.role == "assistant"
        and place > 0
        and turn.trains is not False
        and text_of(turn).strip()
    ]
    if len(places) < 2:
        return [msgspec.structs.replace(row, conversation=row.id)]
    answers, counted_from = [], 0
    for number, place in enumerate(places, 1):
        until = turns[: place + 1]
        answers.append(
            msgspec.structs.replace(
                row,
                id=f"{row.id}:{number}",
                prompt=shown_turns(until),
                reference=text_of(until[-1]),
                messages=until,
                conversation=row.id,
                counted_from=counted_from,
            )
        )
        counted_from = place + 1
    return answers
