"""One example, and what fails, as commands print them."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.cli.output import Output
from tui_loop.core.examples.breakdown import Breakdown, Count, slice_words, term_of
from tui_loop.core.examples.example_detail import ExampleDetail, learned
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.text import figures

OTHER = " (other reference)"


def dossier_record(dossier: ExampleDetail) -> dict[str, Any]:
    """One example as `--json` has it."""
    example = {**msgspec.to_builtins(dossier.example)}
    example["causes"] = [each.kind.value for each in dossier.causes]
    own = next((each for each in dossier.tokens if each.number == dossier.iteration), None)
    return {
        "iteration": dossier.iteration,
        "against": dossier.against,
        "example": example,
        "outcome": dossier.outcome,
        "shift": dossier.shift or None,
        "why": [{"cause": each.kind.value, "evidence": each.evidence} for each in dossier.causes],
        "label": dossier.standing.verdict or None,
        "notes": [each.note for each in dossier.standing.notes],
        "history": [
            {
                "iteration": each.moment.number,
                "passed": each.moment.passed,
                "loss": each.moment.loss,
                "output": each.output,
                "new_reference": each.moment.is_new_segment,
            }
            for each in dossier.then
        ],
        "run": {
            "steps": list(dossier.path.steps),
            "losses": list(dossier.path.losses),
            "learned": learned(dossier.path) if len(dossier.path.steps) > 1 else None,
        },
        "tokens": own.tokens.tokens if own else None,
        "tokens_of": {str(each.number): each.tokens.tokens for each in dossier.tokens},
    }


def print_dossier(folder: IterationFolder, dossier: ExampleDetail, out: Output) -> None:
    """One example for people."""
    example = dossier.example
    against = f", {dossier.shift} against {dossier.against}" if dossier.shift else ""
    out.line(
        f"{folder}  {example.id}  line {example.source_line}  {dossier.outcome}{against}  "
        f"loss {figures.loss(example.loss)}"
    )
    texts = [("prompt", example.prompt), ("wanted", example.reference)]
    texts.append(("said", example.output or ""))
    texts += [("why", f"{each.kind.words}: {each.evidence}") for each in dossier.causes]
    if dossier.standing.verdict:
        texts.append(("label", dossier.standing.verdict.replace("_", " ")))
    texts += [("note", each.note) for each in dossier.standing.notes]
    if len(dossier.path.steps) > 1:
        losses = ", ".join(
            f"{figures.loss(value)} at {step}"
            for step, value in zip(dossier.path.steps, dossier.path.losses, strict=True)
        )
        texts.append(("run", f"{learned(dossier.path)}: loss {losses}"))
    for label, text in texts:
        out.line(f"{label:>7}  " + text.replace("\n", "\n         "))
    if len(dossier.then) > 1:
        out.line()
        out.table(
            ["iteration", "", "loss", "said"],
            [
                [
                    f"{each.moment.number}{OTHER if each.moment.is_new_segment else ''}",
                    {True: "pass", False: "fail", None: ""}[each.moment.passed],
                    figures.loss(each.moment.loss),
                    each.output or "",
                ]
                for each in dossier.then
            ],
            right=(0, 2),
            flexible=(3,),
        )
    if dossier.tokens:
        shown = dossier.tokens[0].tokens.tokens
        others = [each for each in dossier.tokens if len(each.tokens.tokens) == len(shown)]
        out.line()
        out.table(
            ["token", *(f"loss of {each.name}" for each in others)],
            [
                [repr(text), *(figures.loss(each.tokens.tokens[at][1]) for each in others)]
                for at, (text, _) in enumerate(shown)
            ],
            right=tuple(range(1, 1 + len(others))),
        )


def breakdown_record(folder: IterationFolder, found: Breakdown) -> dict[str, Any]:
    """What fails as `--json` has it; each count with the filter that lists it."""
    plain: dict[str, Any] = msgspec.to_builtins(found)
    for name in ("labels", "weak"):
        for each, made in zip(plain[name], getattr(found, name), strict=True):
            each.pop("indices")
            each["term"] = term_of(made)
    return {"iteration": folder.number, **plain}


def print_breakdown(folder: IterationFolder, found: Breakdown, out: Output) -> None:
    """What fails for people."""
    against = "" if found.against is None else f" against {found.against}"
    out.line(f"{folder}{against}: {found.total} examples")
    for head, counts in (
        ("outcome", found.outcomes),
        (f"changed{against}", found.changes),
        ("why they fail", found.causes),
        ("taken for (wanted → said)", found.confusions),
        ("said of them", found.marks),
    ):
        if counts:
            out.line()
            out.table(
                [head, "examples", "was", "--filter"],
                [[each.name, str(each.count), _was(each), each.term] for each in counts],
                right=(1, 2),
            )
    if found.labels:
        out.line()
        out.table(
            ["label", "how it fails"], [[each.name, slice_words(each)] for each in found.labels]
        )
    out.line()
    if not found.weak:
        out.line(
            f"no group fails more than chance would have it ({found.tested} were tried, p-values "
            "adjusted)"
        )
        return
    out.table(
        [f"fails more than chance would have it (of {found.tested} tried)", "how"],
        [[f"{each.name} ({each.kind})", slice_words(each)] for each in found.weak],
    )


def _was(count: Count) -> str:
    return "" if count.before is None else str(count.before)
