"""A finished loop with as many held-out examples as are wanted, in files as runs write them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from tui_loop.core.config.tables import to_tables
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Change, Decision, Example
from tui_loop.core.shipped import shipped

RATES = (None, 5e-4, 2e-3)
"""Of the iterations 0, 1 and 2."""

CHANCES = (0.02, 0.5, 0.6)
"""How many of its examples each of them passes."""

LABELS = tuple(
    f"{what}_{thing}"
    for what in ("cancel", "change", "find", "pay", "return", "report", "stop", "track")
    for thing in ("address", "card", "order", "refund", "login")
)
WORDS = (8, 40)
EVAL_STEPS = (60, 120, 180)
SOURCES = ("chat", "mail", "phone", "web")


def large_loop(recorded: LoopFolder, name: str, count: int) -> LoopFolder:
    """A loop beside `recorded` of three iterations, made as its newest; each has the same
    `count` examples in the same order."""
    source = recorded.iteration(recorded.numbers()[-1])
    draw = random.Random(count)
    loop = LoopsFolder(recorded.path.parent).create(name, recorded.read_settings())
    asked = list(_asked(draw, count))
    luck = [draw.random() for _ in range(count)]
    for number, (rate, chance) in enumerate(zip(RATES, CHANCES, strict=True)):
        folder = loop.iteration(number)
        folder.path.mkdir()
        rows = [
            _answered(draw, row, (each if draw.random() < 0.7 else draw.random()) < chance)
            for row, each in zip(asked, luck, strict=True)
        ]
        _write(source, folder, rows, rate)
        _write_losses(folder, rows, draw)
    write_ledger(loop)
    return loop


def _asked(draw: random.Random, count: int) -> Iterator[Example]:
    """Rows without an answer; a prompt begins with the row's number."""
    lines = shipped("sample_data", "support-intents", "train.jsonl").read_bytes().splitlines()
    words = " ".join(msgspec.json.decode(line)["prompt"] for line in lines).split()
    for at in range(count):
        start = draw.randrange(len(words) - WORDS[1])
        prompt = " ".join((number_of(at), *words[start : start + draw.randint(*WORDS) - 1]))
        yield Example(
            id=f"{draw.getrandbits(48):012x}",
            prompt=prompt,
            reference=draw.choice(LABELS),
            output=None,
            score=None,
            passed=None,
            causes=(),
            loss=None,
            supervised_tokens=draw.randint(3, 5),
            output_tokens=None,
            truncated=False,
            source_line=at + 1,
            columns={"source": draw.choice(SOURCES)},
        )


def number_of(row: int) -> str:
    """The word by which an example is known on the screen."""
    return f"#{row:06d}"


def _answered(draw: random.Random, row: Example, passed: bool) -> Example:
    output, causes = row.reference, tuple[str, ...]()
    if not passed and draw.random() < 0.1:
        output, causes = "I cannot tell what you want", ("out_of_vocabulary",)
    elif not passed:
        output = draw.choice([each for each in LABELS if each != row.reference])
        causes = ("wrong_label",)
    return msgspec.structs.replace(
        row,
        output=output,
        score=float(passed),
        passed=passed,
        causes=causes,
        loss=draw.lognormvariate(-2 if passed else 0.5, 0.8),
        output_tokens=draw.randint(3, 6),
    )


def _write(
    source: IterationFolder, folder: IterationFolder, rows: list[Example], rate: float | None
) -> None:
    summary, config = source.read_summary(), source.read_config()
    assert summary is not None
    training = msgspec.structs.replace(config.training, learning_rate=rate or RATES[1])
    effective = {**source.read_effective(), "evaluation": {"labels": list(LABELS)}}
    config = msgspec.structs.replace(config, training=training)
    splits = source.read_splits()
    splits["eval"] = msgspec.structs.replace(splits["eval"], rows=len(rows))
    folder.write_config(config, splits, effective)
    before = RATES[folder.number - 1] if folder.number > 1 else None
    changes = (Change("training.learning_rate", before, rate),) if before else ()
    parent = folder.number - 1 if folder.number else None
    folder.write_decision(Decision(parent, "one of three", changes))
    journal = Journal(folder.journal)
    for event in Follower(source.journal).read_all():
        journal.append(event)
    journal.close()
    passed = sum(row.passed is True for row in rows)
    metrics = {
        **summary.metrics,
        "eval_loss": sum(codec.number(row.loss) or 0.0 for row in rows) / len(rows),
        "score": passed / len(rows),
        "passed": passed,
        "total": len(rows),
    }
    folder.write_summary(
        msgspec.structs.replace(
            summary,
            number=folder.number,
            parent=parent,
            title="",
            changes={each.field: [each.old, each.new] for each in changes},
            config=to_tables(config),
            metrics=metrics,
        )
    )


def _write_losses(folder: IterationFolder, rows: list[Example], draw: random.Random) -> None:
    """Examples, their token losses, and the losses of the evaluations within the run.

    The writers of runs check every value, which takes a minute with so many.
    """
    encoder = msgspec.json.Encoder()
    folder.examples.write_bytes(encoder.encode_lines(rows))
    folder.tokens.write_bytes(
        encoder.encode_lines(
            {
                "id": row.id,
                "tokens": [
                    (part, round(draw.expovariate(2), 6))
                    for part in (f" {row.reference.replace('_', ' ')}", "<|endoftext|>")
                ],
            }
            for row in rows
        )
    )
    if not folder.number:
        return
    folder.evals.mkdir()
    for step in EVAL_STEPS:
        losses = (
            {
                "id": row.id,
                "loss": draw.expovariate(1),
                "supervised_tokens": row.supervised_tokens,
            }
            for row in rows
        )
        (folder.evals / f"{step}.jsonl").write_bytes(encoder.encode_lines(losses))
