"""Prints one example in full, and the breakdown of failures."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.cli.output import Output
from tui_loop.core.examples.breakdown import Breakdown, Count, slice_words, term_of
from tui_loop.core.examples.example_detail import ExampleDetail, learned
from tui_loop.core.reasoning import answer_of, split_reasoning
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

OTHER_REFERENCE = " (other reference)"

INTERVAL = "in brackets: the 95% interval"


def example_record(detail: ExampleDetail) -> dict[str, Any]:
    """Returns one example as `--json` prints it."""
    example = {**msgspec.to_builtins(detail.example)}
    example["causes"] = [each.kind.value for each in detail.causes]
    own = next((each for each in detail.tokens if each.number == detail.iteration), None)
    return {
        "iteration": detail.iteration,
        "against": detail.against,
        "example": example,
        "outcome": detail.outcome,
        "shift": detail.shift or None,
        "why": [{"cause": each.kind.value, "evidence": each.evidence} for each in detail.causes],
        "label": detail.annotation.verdict or None,
        "notes": [each.note for each in detail.annotation.notes],
        "history": [
            {
                "iteration": each.point.number,
                "passed": each.point.passed,
                "loss": each.point.loss,
                "output": each.output,
                "new_reference": each.point.is_new_segment,
            }
            for each in detail.history
        ],
        "run": {
            "steps": list(detail.path.steps),
            "losses": list(detail.path.losses),
            "learned": learned(detail.path) if len(detail.path.steps) > 1 else None,
        },
        "tokens": own.tokens.tokens if own else None,
        "tokens_of": {str(each.number): each.tokens.tokens for each in detail.tokens},
    }


def print_example(
    folder: IterationFolder, detail: ExampleDetail, out: Output, *, unfolds: bool = False
) -> None:
    """Prints one example; its reasoning is one line, unless `unfolds`."""
    example = detail.example
    shift = detail.shift.replace("-", " ")
    against = f", {shift} vs iteration {detail.against}" if shift else ""
    out.line(
        f"{folder}  {example.id}  line {example.source_line}  {detail.outcome}{against}  "
        f"loss {figures.loss(example.loss)}"
    )
    texts = [("prompt", example.prompt)]
    for label, whole in (("reference", example.reference), ("output", example.output or "")):
        reasoning, answer = split_reasoning(whole)
        if reasoning and unfolds:
            texts.append(("reasoning", reasoning))
        elif reasoning:
            words = counted(len(reasoning.split()), "word")
            texts.append(("reasoning", f"{words} (--reasoning prints them)"))
        texts.append((label, answer))
        if label == "reference":
            texts += [("or", other) for other in example.other_references]
    texts += [("cause", f"{each.kind.words}: {each.evidence}") for each in detail.causes]
    if detail.annotation.verdict:
        texts.append(("label", detail.annotation.verdict.replace("_", " ")))
    texts += [("note", each.note) for each in detail.annotation.notes]
    if len(detail.path.steps) > 1:
        losses = ", ".join(
            f"{figures.loss(value)} at {step}"
            for step, value in zip(detail.path.steps, detail.path.losses, strict=True)
        )
        texts.append(("run", f"{learned(detail.path)}: loss {losses}"))
    for label, text in texts:
        out.line(f"{label:>9}  " + text.replace("\n", "\n" + " " * 11))
    if len(detail.history) > 1:
        out.line()
        out.table(
            ["iteration", "", "loss", "output"],
            [
                [
                    f"{each.point.number}{OTHER_REFERENCE if each.point.is_new_segment else ''}",
                    {True: "pass", False: "fail", None: ""}[each.point.passed],
                    figures.loss(each.point.loss),
                    answer_of(each.output),
                ]
                for each in detail.history
            ],
            right=(0, 2),
            flexible=(3,),
        )
    if detail.tokens:
        tokens = detail.tokens[0].tokens.tokens
        # Losses of another tokenization cannot be put beside these tokens.
        comparable = [each for each in detail.tokens if len(each.tokens.tokens) == len(tokens)]
        out.line()
        out.table(
            ["token", *(f"loss of {each.name}" for each in comparable)],
            [
                [repr(text), *(figures.loss(each.tokens.tokens[place][1]) for each in comparable)]
                for place, (text, _) in enumerate(tokens)
            ],
            right=tuple(range(1, 1 + len(comparable))),
        )


def breakdown_record(folder: IterationFolder, found: Breakdown) -> dict[str, Any]:
    """Returns the breakdown as `--json` prints it; each count has the filter that lists it."""
    record: dict[str, Any] = msgspec.to_builtins(found)
    for name in ("labels", "weak"):
        for entry, slice_ in zip(record[name], getattr(found, name), strict=True):
            entry.pop("indices")
            entry["term"] = term_of(slice_)
    return {"iteration": folder.number, **record}


def print_breakdown(folder: IterationFolder, found: Breakdown, out: Output) -> None:
    """Prints the counts of outcomes, causes, confusions, annotations and weak slices."""
    against = "" if found.against is None else f" against {found.against}"
    out.line(f"{folder}{against}: {found.total} examples")
    for head, counts in (
        ("outcome", found.outcomes),
        (f"changed{against}", found.changes),
        ("cause", found.causes),
        ("confusion (reference → output)", found.confusions),
        ("annotation", found.marks),
    ):
        if counts:
            out.line()
            out.table(
                [head, "examples", "before", "--filter"],
                [[each.name, str(each.count), _before(each), each.term] for each in counts],
                right=(1, 2),
            )
    if found.labels:
        out.line()
        out.table(
            ["label", f"failures ({INTERVAL})"],
            [[each.name, slice_words(each)] for each in found.labels],
        )
    out.line()
    if not found.weak:
        out.line(
            f"no slice fails more often than chance explains ({found.tested} slices tested, "
            "p-values adjusted)"
        )
        return
    out.table(
        [
            f"slice that fails more often than chance explains ({found.tested} tested)",
            f"failures ({INTERVAL})",
        ],
        [[f"{each.name} ({each.kind})", slice_words(each)] for each in found.weak],
    )


def _before(count: Count) -> str:
    return "" if count.before is None else str(count.before)
