"""A loop of many finished iterations with few held-out examples each, in files as runs write them.

Every fifth iteration repeats its parent with another seed; the others change the learning rate.
Parents are earlier iterations, so lineage is a tree.
"""

from __future__ import annotations

import random

import msgspec

from tui_loop.core.config.tables import to_tables
from tui_loop.core.record.codec import to_json_lines, to_pretty_json, to_toml
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Example, Iteration, TokenLosses

REPEATED = 5
NEAR = 12
"""A parent is one of so many iterations before its child, or the base."""

BASE_SEED = 42


def long_loop(recorded: LoopFolder, name: str, iterations: int, examples: int) -> LoopFolder:
    """A loop beside `recorded` of so many iterations, the base among them, made as its newest."""
    source = recorded.iteration(recorded.numbers()[-1])
    loop = LoopsFolder(recorded.path.parent).create(name, recorded.read_settings())
    writer = _Writer(source, loop, source.read_examples()[:examples])
    for number in range(iterations):
        writer.write(number)
    return loop


class _Writer:
    """Writes iterations whose files differ from those of `source` where runs would differ."""

    def __init__(self, source: IterationFolder, loop: LoopFolder, rows: list[Example]) -> None:
        summary = source.read_summary()
        assert summary is not None
        self._source, self._loop, self._rows, self._summary = source, loop, rows, summary
        self._draw = random.Random(len(rows))
        self._config, self._splits = source.read_config(), source.read_splits()
        self._effective = source.read_effective()
        self._journal = source.journal.read_bytes()
        tokens = list(source.read_tokens().values())[: len(rows)]
        self._tokens: list[TokenLosses] = tokens
        self._settings: list[tuple[float, int]] = []
        self._chances: list[float] = []

    def write(self, number: int) -> None:
        """Writes the next iteration."""
        parent = self._parent_of(number)
        rate, seed, chance = self._settings_of(number, parent)
        self._settings.append((rate, seed))
        self._chances.append(chance)
        folder = self._loop.iteration(number)
        folder.path.mkdir()
        training = msgspec.structs.replace(self._config.training, learning_rate=rate, seed=seed)
        config = to_tables(msgspec.structs.replace(self._config, training=training))
        changes = self._changes(number, parent)
        rows = [self._answered(row, chance) for row in self._rows]
        # The writers of runs sync every file, which takes minutes for so many.
        splits = {name: msgspec.to_builtins(each) for name, each in self._splits.items()}
        tables = {"schema": 1, **config, "splits": splits, "effective": self._effective}
        folder.config.write_text(to_toml(tables), encoding="utf-8")
        listed = [{"field": each, "old": a, "new": b} for each, (a, b) in changes.items()]
        decision = {"parent": parent, "why": "one of many", "changes": listed}
        folder.decision.write_text(to_toml(decision), encoding="utf-8")
        folder.journal.write_bytes(self._journal)
        folder.examples.write_bytes(to_json_lines(rows))
        folder.tokens.write_bytes(to_json_lines(self._tokens))
        folder.summary.write_bytes(
            to_pretty_json(self._summary_of(number, parent, config, changes, rows))
        )

    def _parent_of(self, number: int) -> int | None:
        if number == 0:
            return None
        return self._draw.choice([0, *range(max(0, number - NEAR), number)])

    def _settings_of(self, number: int, parent: int | None) -> tuple[float, int, float]:
        """Returns the learning rate, the seed, and the share of examples that pass."""
        if parent and number % REPEATED == 0:
            return self._settings[parent][0], BASE_SEED + number, self._chances[parent]
        rate = float(f"{10 ** self._draw.uniform(-5, -2):.3g}")
        return rate, BASE_SEED, self._draw.random() if number else 0.1

    def _changes(self, number: int, parent: int | None) -> dict[str, list[object]]:
        if not parent:
            return {}
        names = ("training.learning_rate", "training.seed")
        pairs = zip(self._settings[parent], self._settings[number], strict=True)
        return {name: [a, b] for name, (a, b) in zip(names, pairs, strict=True) if a != b}

    def _answered(self, row: Example, chance: float) -> Example:
        passed = self._draw.random() < chance
        return msgspec.structs.replace(
            row,
            output=row.reference if passed else "another",
            score=float(passed),
            passed=passed,
            causes=() if passed else ("out_of_vocabulary",),
            loss=self._draw.lognormvariate(-2 if passed else 0.5, 0.8),
        )

    def _summary_of(
        self,
        number: int,
        parent: int | None,
        config: dict[str, dict[str, object]],
        changes: dict[str, list[object]],
        rows: list[Example],
    ) -> Iteration:
        passed = sum(row.passed is True for row in rows)
        tokens = sum(row.supervised_tokens for row in rows)
        losses = sum(float(row.loss or 0) * row.supervised_tokens for row in rows)
        return msgspec.structs.replace(
            self._summary,
            number=number,
            parent=parent,
            title="",
            changes=changes,
            decision="one of many",
            config=config,
            metrics={
                **self._summary.metrics,
                "eval_loss": losses / tokens,
                "score": passed / len(rows),
                "passed": passed,
                "total": len(rows),
            },
        )
