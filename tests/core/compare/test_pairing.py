"""The same examples in two evaluations, by columns: as going through them one by one has it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from tui_loop.core.compare.pairing import (
    Paired,
    changed_rows,
    failing_rows,
    lossy_rows,
    scored_rows,
    shared_rows,
    with_same_tokens,
)
from tui_loop.core.examples.history import Outcomes, outcomes_of, share_columns
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Example

MakeExample = Callable[..., Example]


def evaluated(rng: random.Random, example: MakeExample, names: Sequence[str]) -> list[Example]:
    """Examples with a little of everything that a record may have."""
    return [
        example(
            name,
            rng.choice([0.0, 1.0, 1.0, 0.5, None]),
            reference=rng.choice(["yes", "yes", "yes", "no"]),
            loss=rng.choice([0.5, 1.5, None, "NaN", "Infinity", 1e200]),
            supervised_tokens=rng.choice([1, 1, 1, 2]),
        )
        for name in names
    ]


def ids_of(rows: Paired, table: Sequence[Example]) -> list[str]:
    return [table[row].id for row in rows.new]


def has_loss(row: Example) -> bool:
    value = number(row.loss)
    return value is not None and abs(value) < 1e100


@pytest.mark.parametrize("seed", range(30))
def test_columns_pair_examples_as_rows_do(seed: int, example: MakeExample) -> None:
    rng = random.Random(seed)
    names = [f"id{n}" for n in range(40)]
    kept = names if seed % 3 == 0 else [name for name in names if rng.random() < 0.8]
    if seed % 3 == 2:
        rng.shuffle(kept)
    rows = evaluated(rng, example, names), evaluated(rng, example, kept)
    first, second = (outcomes_of(n, ExampleTable.of(each)) for n, each in enumerate(rows))
    old, new = first, share_columns(second, [first])
    by_id = {row.id: row for row in rows[0]}
    pairs = [(by_id[row.id], row) for row in rows[1] if by_id[row.id].reference == row.reference]
    shared = shared_rows(old, new)
    assert ids_of(shared, rows[1]) == [row.id for _, row in pairs]
    assert [rows[0][row].id for row in shared.old] == ids_of(shared, rows[1])
    alike = [one.supervised_tokens == other.supervised_tokens for one, other in pairs]
    assert list(with_same_tokens(old, new, shared)) == alike
    assert ids_of(lossy_rows(old, new, shared), rows[1]) == [
        other.id
        for (one, other), is_alike in zip(pairs, alike, strict=True)
        if is_alike and has_loss(one) and has_loss(other)
    ]
    told = [(one, other) for one, other in pairs if None not in (one.score, other.score)]
    scored = scored_rows(old, new, shared)
    assert ids_of(scored, rows[1]) == [other.id for _, other in told]
    fixed, broken = changed_rows(old, new, scored)
    assert ids_of(fixed, rows[1]) == [b.id for a, b in told if not a.passed and b.passed]
    assert ids_of(broken, rows[1]) == [b.id for a, b in told if a.passed and not b.passed]
    failing = failing_rows(old, new, scored)
    assert ids_of(failing, rows[1]) == [b.id for a, b in told if not a.passed and not b.passed]


def test_equal_columns_of_iterations_are_kept_once(example: MakeExample) -> None:
    def outcomes(reference: str) -> Outcomes:
        rows = [example(f"id{n}", 1.0, reference=reference) for n in range(3)]
        return outcomes_of(1, ExampleTable.of(rows))

    known = outcomes("yes")
    same, other = share_columns(outcomes("yes"), [known]), share_columns(outcomes("no"), [known])
    assert same.ids is known.ids
    assert same.references is known.references
    assert same.supervised_tokens is known.supervised_tokens
    assert same.losses is not known.losses
    assert other.ids is known.ids
    assert other.references == ["no"] * 3
