"""Records written by hand: a base and trained iterations with the examples that a test wants."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from tui_loop.core.audit.data_audit import audit_data
from tui_loop.core.config.tables import to_tables
from tui_loop.core.data.row_versions import digest_of, write_index
from tui_loop.core.data.rows import Row, with_ids
from tui_loop.core.diagnosis.diagnose import DATA_RULES, OUTPUT_RULES, Diagnoser, Rule
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.record import codec
from tui_loop.core.record.events import LineLogged, MetricsLogged
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Example, Iteration, Split, StepLoss, TrainingRow
from tui_loop.core.workflow.plan import create_base, create_iteration, plan_next

LABELS = ("billing", "cancel", "login", "refund")


def rows_of(pairs: Iterable[tuple[str, str]], ids: list[str] | None = None) -> list[Row]:
    """Rows of (prompt, reference), named as data is."""
    rows = [Row("", prompt, said, line) for line, (prompt, said) in enumerate(pairs, start=1)]
    return with_ids(rows, ids)


_OPENINGS = (
    "hello",
    "good morning",
    "dear team",
    "hi all",
    "please help me",
    "I have a question",
    "quick thing",
    "once more",
)
_SUBJECTS = {
    "billing": (
        "my invoice shows the wrong amount",
        "the card was charged twice in one month",
        "I need a receipt for the last payment",
        "what does the fee on the bill mean",
        "the price went up without a note",
        "taxes are missing on my statement",
    ),
    "cancel": (
        "I want to end my plan at once",
        "stop the contract before it renews",
        "close my account for good",
        "how do I leave the service",
        "do not renew the subscription next year",
        "take me off the plan",
    ),
    "login": (
        "the password is not accepted any more",
        "I cannot sign in on my phone",
        "the code by text never arrives",
        "my screen says that the session is over",
        "two factor asks again and again",
        "I am locked out after three tries",
    ),
    "refund": (
        "I sent the shoes back and want my money",
        "when do I get paid for the broken lamp",
        "return of the parcel was not credited",
        "please send back what I paid for the bag",
        "the shop owes me for a faulty toaster",
        "the returned coat was never settled",
    ),
}
_ENDINGS = (
    "thanks",
    "it is urgent",
    "since monday",
    "as I wrote before",
    "on my old address",
    "from the second order",
    "for my daughter",
    "since the last update",
    "and nobody answers",
    "which is new to me",
)


def messages(count: int, seed: int = 0, labels: Sequence[str] = LABELS) -> list[Row]:
    """Messages to a help desk with their labels, in random order and all different.

    Rows of two seeds are two samples of one source; few of them are the same.
    """
    draw = random.Random(seed)
    pairs: dict[str, str] = {}
    while len(pairs) < count:
        label = draw.choice(labels)
        parts = (draw.choice(each) for each in (_OPENINGS, _SUBJECTS[label], _ENDINGS))
        pairs[", ".join(parts)] = label
    return rows_of(pairs.items())


def renamed(rows: Iterable[Row], names: Mapping[str, str]) -> list[Row]:
    """The rows with other references, by the old ones."""
    return [
        msgspec.structs.replace(row, reference=names.get(row.reference, row.reference))
        for row in rows
    ]


def example(row: Row, said: str | None = None, **more: Any) -> Example:
    """A held-out row and what the model said, the reference where it is not given."""
    output = row.reference if said is None else said
    passed = output == row.reference
    fields: dict[str, Any] = {
        "output": output,
        "passed": passed,
        "score": float(passed),
        "causes": () if passed else ("wrong_label",),
        "loss": 0.05 if passed else 1.5,
        "supervised_tokens": 2,
        "output_tokens": 2,
        "truncated": False,
    }
    return Example(
        id=row.id,
        prompt=row.prompt,
        reference=row.reference,
        source_line=row.line,
        **{**fields, **more},
    )


def asked(count: int, labels: Sequence[str] = LABELS) -> list[Row]:
    """Rows with the labels in turn, none like another."""
    return rows_of(
        (f"{_word(n)} {_word(7 * n + 1)} {_word(n * n)}", labels[n % len(labels)])
        for n in range(count)
    )


def answered(rows: Sequence[Row], wrong: Iterable[int] = (), **more: Any) -> list[Example]:
    """The rows with right answers, but for those at `wrong`, which name another label."""
    failing = set(wrong)
    return [
        example(row, _other(row.reference) if at in failing else None, **more)
        for at, row in enumerate(rows)
    ]


class Written:
    """A loop; `add` writes iterations, the first of them the base."""

    def __init__(self, folder: Path, metric: str = "label") -> None:
        settings = LoopSettings(metric=metric, defaults={"data": {"train": "train.jsonl"}})
        self.loop: LoopFolder = LoopsFolder(folder / "loops").create("written", settings)

    def base(self, rows: Sequence[Row], right: Iterable[int] = (), loss: float = 5.0) -> None:
        """A base that is right at `right` alone."""
        knows = set(right)
        self.add(
            [
                example(row, None if at in knows else "hm", loss=0.5 if at in knows else loss)
                for at, row in enumerate(rows)
            ]
        )

    def add(
        self,
        examples: Sequence[Example],
        *settings: str,
        train: Sequence[Row] = (),
        measured: Sequence[tuple[Row, float]] = (),
        metrics: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        lines: Sequence[str] = (),
        num_tokens: float | None = None,
        losses: Sequence[float] = (),
        max_new_tokens: int = 8,
        labels: Sequence[str] = LABELS,
        effective: Mapping[str, Any] | None = None,
        audit: bool | Sequence[Row] = False,
    ) -> IterationFolder:
        """An iteration that ended; `measured` are training rows with their loss.

        `effective`: more values that the run derived. `audit`: whether the record has the facts
        about the data; or the evaluation rows of these facts, where those are conversations.
        """
        held = [Row(each.id, each.prompt, each.reference, each.source_line) for each in examples]
        splits = {}
        for name, rows in (("train", train), ("eval", held)):
            if rows:
                write_index(self.loop.path, rows)
            splits[name] = Split(f"{name}.jsonl", rows=len(rows), digest=digest_of(rows))
        if self.loop.numbers():
            plan = plan_next(self.loop, parent=None, settings=list(settings), why="a test")
            folder = create_iteration(self.loop, plan, splits)
        else:
            folder = create_base(self.loop, self.loop.default_config(), splits)
        config = folder.read_config()
        derived = {"labels": list(labels), "max_new_tokens": max_new_tokens}
        folder.write_config(config, splits, {"evaluation": derived, **(effective or {})})
        folder.write_examples(examples, [])
        if audit:
            seen = held if audit is True else audit
            is_label_metric = config.evaluation.metric == "label"
            folder.write_audit_part(
                "data", audit_data(train, seen, is_label_metric=is_label_metric)
            )
        if measured:
            folder.write_training_rows(
                TrainingRow(row.id, row.prompt, row.reference, loss, 2, row.line, len(train))
                for row, loss in measured
            )
        self._journal(folder, lines, num_tokens, losses)
        passed = [each.passed for each in examples if each.passed is not None]
        scores = [each.score for each in examples if each.score is not None]
        losses = [each.loss for each in examples if isinstance(each.loss, float)]
        folder.write_summary(
            Iteration(
                number=folder.number,
                parent=folder.read_decision().parent,
                state="failed" if error else "finished",
                config=dict(to_tables(config)),
                metrics={
                    "eval_loss": fmean(losses) if losses else None,
                    "score": fmean(scores) if scores else None,
                    "passed": sum(passed),
                    "total": len(examples),
                    "train_rows": len(train),
                    **(metrics or {}),
                },
                error=error,
                attempts=1,
                fingerprint=fingerprint_of(config, held, list(labels)),
                duration_s=1.0,
            )
        )
        return folder

    def trained(
        self,
        rows: Sequence[Row],
        losses: Sequence[float],
        *settings: str,
        wrong: int = 0,
        grads: Sequence[float] | None = None,
        learning_rates: Sequence[float] | None = None,
        evals: Mapping[int, float] | None = None,
        saves: Collection[int] = (),
        tokens_a_row: int = 20,
        seconds: Mapping[int, float] | None = None,
        train: Sequence[Row] | None = None,
        machine: Callable[[int], Mapping[str, float]] | None = None,
        **more: Any,
    ) -> IterationFacts:
        """An iteration with curves, whose first `wrong` rows fail; its case. `evals`: the eval loss
        of a step, which all rows share but for a twentieth, so that changes are told from chance.
        `seconds`: how long a step took, one second by default. `machine`: a sample of the machine
        after each step."""
        train = asked(80) if train is None else train
        folder = self.add(answered(rows, range(wrong)), *settings, train=train, **more)
        at, events = 0.0, list[dict[str, Any]]()

        def tell(event: str, **values: Any) -> None:
            events.append({"event": event, "seq": len(events), "t": at, **values})

        tell(
            "run_started",
            loop="written",
            iteration=folder.number,
            attempt=1,
            pid=1,
            host="h",
            from_step=0,
            versions={},
            device="cpu",
            runner="process",
            schema=1,
        )
        tell("phase", name="training")
        folder.evals.mkdir(exist_ok=True)
        for step, loss in enumerate(losses, 1):
            at += (seconds or {}).get(step, 1.0)
            if step in (evals or {}):
                value = (evals or {})[step]
                tell("evaluation", step=step, epoch=1.0, values={"eval_loss": value})
                (folder.evals / f"{step}.jsonl").write_bytes(
                    codec.to_json_lines(
                        StepLoss(row.id, value * (1 + 0.05 * (n % 3 - 1)), 2)
                        for n, row in enumerate(rows)
                    )
                )
            if step in saves:
                tell("checkpoint", step=step, path=f"checkpoints/checkpoint-{step}")
            values = {
                "loss": loss,
                "grad_norm": (grads or [1.0] * len(losses))[step - 1],
                "num_tokens": 8.0 * tokens_a_row * step,
                "learning_rate": (learning_rates or [1e-4] * len(losses))[step - 1],
            }
            tell("metrics", step=step, epoch=1.0, values=codec.spell(values))
            if machine is not None:
                tell("system", values=dict(machine(step)))
        tell("phase", name="evaluating")
        folder.journal.write_bytes(codec.to_json_lines(events))
        return self.case()

    def _journal(
        self,
        folder: IterationFolder,
        lines: Sequence[str],
        num_tokens: float | None,
        train_losses: Sequence[float],
    ) -> None:
        journal = Journal(folder.journal)
        for text in lines:
            journal.append(LineLogged(level="warning", source="training", text=text))
        if num_tokens is not None:
            journal.append(MetricsLogged(step=1, epoch=1.0, values={"num_tokens": num_tokens}))
        for step, loss in enumerate(train_losses, start=1):
            values = {"loss": loss, "grad_norm": 0.5, "learning_rate": 1e-4}
            journal.append(MetricsLogged(step=step, epoch=step / 10, values=values))
        journal.close()

    def case(self, number: int | None = None) -> IterationFacts:
        """The facts on an iteration, the newest by default."""
        newest = self.loop.numbers()[-1] if number is None else number
        return Diagnoser(LoopReader(self.loop)).facts(newest)

    def found(self, number: int | None = None) -> list[Finding]:
        """What the rules on data and outputs say of it."""
        case = self.case(number)
        return [each for rule in (*DATA_RULES, *OUTPUT_RULES) for each in rule(case)]

    def one(self, rule: Rule, number: int | None = None) -> Finding:
        """The only finding of a rule."""
        found = list(rule(self.case(number)))
        assert len(found) == 1, [each.message for each in found]
        return found[0]


def _other(label: str) -> str:
    return LABELS[(LABELS.index(label) + 1) % len(LABELS)]


def _word(number: int) -> str:
    """A word of its own for each number, without figures."""
    letters = ""
    while True:
        number, rest = divmod(number, 20)
        letters += "bcdfghjklmnpqrstvwxz"[rest] + "aeiou"[rest % 5]
        if not number:
            return letters
