"""`tui-loop label`, `note` and `reason`: what people say about examples and iterations."""

from __future__ import annotations

import argparse
import time
from typing import Any

import msgspec

from tui_loop.cli.arguments import (
    Command,
    add_json,
    evaluated_examples,
    example_of,
    iteration_of_args,
    loop_of_args,
)
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.annotations import (
    KINDS,
    Annotation,
    Annotations,
    Kind,
    annotate,
    annotated,
    annotation_text,
    read_annotations,
)
from tui_loop.core.record.files import short_hash
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.workflow.reason import edit_reason

KIND_WORDS = "accepted, bad-reference, ambiguous, clear or note"
_SHORT = {"accept": "accepted", "clear": "cleared"}


def _add_label(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]")
    parser.add_argument(
        "id", metavar="ID", nargs="?", help="id of the example; without ID, list all labels"
    )
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        help="accepted (the output is correct), bad-reference or ambiguous; clear removes the "
        "label, note stores only the text of --note",
    )
    parser.add_argument("--note", default="", metavar="TEXT", help="store this note with the label")
    add_json(parser)


def _run_label(args: argparse.Namespace, out: Output) -> int:
    loop, number = loop_of_args(args)
    if args.id is None:
        folder = _newest_evaluated(loop) if number is None else loop.existing(number)
        return _list(loop, folder, args.json, out)
    if number is None:
        raise BadInput(
            f"{loop.name}: which iteration?",
            f"tui-loop label {loop.name}/{max(loop.numbers(), default=1)} {args.id} KIND",
        )
    folder = loop.existing(number)
    kind = _kind(args.kind, folder, args.id)
    examples = evaluated_examples(folder)
    annotation = annotate(folder, example_of(folder, examples, args.id), kind, args.note)
    counts = annotated(examples, read_annotations(loop))
    if args.json:
        out.record(
            {"said": msgspec.to_builtins(annotation), "judged": msgspec.to_builtins(counts.figures)}
        )
        return 0
    text = "is no longer labelled" if kind == "cleared" else f"is labelled {_kind_text(kind)}"
    out.line(f"{folder} {annotation.id} {'has a note' if kind == 'note' else text}")
    if counts.differs:
        out.line(f"{folder}: {annotation_text(counts)}")
    return 0


def _kind(word: str | None, folder: IterationFolder, name: str) -> Kind:
    hint = f"tui-loop label {folder} {name} KIND, where KIND is {KIND_WORDS}"
    if word is None:
        raise BadInput("the KIND of label is missing", hint)
    name = word.casefold().replace("-", "_")
    name = _SHORT.get(name, name)
    for kind in KINDS:
        if kind == name:
            return kind
    raise BadInput(f"unknown KIND of label: {word!r}", hint)


def _newest_evaluated(loop: LoopFolder) -> IterationFolder | None:
    """Returns the newest iteration that was evaluated, None where there is none."""
    folders = [loop.iteration(number) for number in reversed(loop.numbers())]
    return next((folder for folder in folders if folder.examples.exists()), None)


def _list(loop: LoopFolder, folder: IterationFolder | None, as_json: bool, out: Output) -> int:
    annotations = read_annotations(loop)
    if annotations.trouble:
        raise BadInput(
            annotations.trouble, "replace labels.jsonl with a regular file, or remove it"
        )
    examples = {each.id: each for each in folder.read_examples()} if folder is not None else {}
    states = [_state(each, examples.get(each.id), annotations) for each in annotations.entries]
    number = None if folder is None else folder.number
    if as_json:
        records: list[dict[str, Any]] = [
            {**msgspec.to_builtins(annotation), "state": state}
            for annotation, state in zip(annotations.entries, states, strict=True)
        ]
        out.record({"iteration": number, "said": records, "bad_lines": annotations.bad_lines})
        return 0
    if not annotations.entries:
        out.line(f"{loop.name}: no annotations yet")
    else:
        out.table(
            ["label", "status", "example", "iteration", "note or output", "prompt", "by", "when"],
            [
                _cells(annotation, state, examples.get(annotation.id))
                for annotation, state in zip(annotations.entries, states, strict=True)
            ],
            right=(3,),
            flexible=(5, 4),
        )
    if annotations.bad_lines:
        out.note(f"{loop.labels}: {counted(annotations.bad_lines, 'line')} cannot be read")
    if folder is not None and annotations:
        counts = annotated(list(examples.values()), annotations)
        out.line(
            f"{folder}: {annotation_text(counts) or 'the annotations do not change the score'}"
        )
    return 0


def _state(annotation: Annotation, example: Example | None, annotations: Annotations) -> str:
    """Returns whether an annotation applies to an evaluation: `counts`, or why it does not."""
    if annotation.kind == "cleared" or annotation.kind not in KINDS:
        return ""
    if example is None or annotation.kind == "note":
        return "kept" if example else "no such example"
    if annotation.reference != short_hash(example.reference):
        return "reference changed"
    if not annotations.is_current(annotation):
        return "taken back"
    is_other = annotation.kind == "accepted" and not annotations.matches(annotation, example)
    return "other output" if is_other else "counts"


def _cells(annotation: Annotation, state: str, example: Example | None) -> list[str]:
    # labels.jsonl may come from anywhere: localtime would raise for an absurd time.
    has_time = 0 < annotation.t < 1e11
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(annotation.t)) if has_time else ""
    output = annotation.output and one_line(annotation.output, 80)
    return [
        _kind_text(annotation.kind),
        state,
        annotation.id,
        str(annotation.iteration),
        "; ".join(filter(None, (annotation.note, output))),
        "" if example is None else example.prompt or example.reference,
        annotation.by,
        when,
    ]


def _kind_text(kind: str) -> str:
    return kind.replace("_", " ")


def _add_note(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a paragraph to add")
    add_json(parser)


def _run_note(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if args.text:
        folder.add_note(args.text)
    notes = folder.read_notes()
    if args.json:
        out.record({"iteration": folder.number, "notes": notes})
    else:
        out.line(notes or f"{folder} has no notes yet")
    return 0


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="the reason to write")
    add_json(parser)


def _run_reason(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if args.text is None:
        decision = folder.read_decision()
    else:
        decision = edit_reason(folder.loop, folder.number, args.text)
    if args.json:
        first = decision.first_why or decision.why
        out.record({"iteration": folder.number, "why": decision.why, "first_why": first})
        return 0
    out.line(decision.why or f"{folder} has no reason yet")
    if decision.first_why:
        out.line(f"first: {decision.first_why}")
    return 0


SUBCOMMANDS = {
    "label": Command(
        "label an example as accepted, bad-reference or ambiguous, or add a note",
        _add_label,
        _run_label,
    ),
    "reason": Command(
        "edit or print the reason for an iteration",
        _add_reason,
        _run_reason,
    ),
    "note": Command(
        "add a note to an iteration, or print its notes",
        _add_note,
        _run_note,
    ),
}
