"""`tui-loop label LOOP/N ID KIND`: what a person says of an example; `label LOOP` lists it."""

from __future__ import annotations

import argparse
import time
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, loop_of_args
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.annotations import (
    KINDS,
    Annotation,
    Annotations,
    Kind,
    annotate,
    annotated,
    read_annotations,
)
from tui_loop.core.examples.annotations import annotation_text as told_of
from tui_loop.core.record.files import short_hash
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.text.untrusted import one_line

HELP = "say that an output is right, a reference wrong or an example ambiguous; add a note"
KIND_WORDS = "accepted, bad-reference, ambiguous, clear or note"
_SHORT = {"accept": "accepted", "clear": "cleared"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]")
    parser.add_argument("id", metavar="ID", nargs="?", help="an example of iteration N")
    parser.add_argument("kind", metavar="KIND", nargs="?", help=KIND_WORDS)
    parser.add_argument("--note", default="", metavar="TEXT", help="words that stay with it")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loop, wanted = loop_of_args(args)
    if args.id is None:
        folder = _newest(loop) if wanted is None else loop.existing(wanted)
        return _list(loop, folder, args.json, out)
    if wanted is None:
        raise BadInput(
            f"{loop.name}: which iteration?",
            f"tui-loop label {loop.name}/{max(loop.numbers(), default=1)} {args.id} KIND",
        )
    folder = loop.existing(wanted)
    kind = _kind(args.kind, folder, args.id)
    examples = evaluated(folder)
    one = annotate(folder, example_of(folder, examples, args.id), kind, args.note)
    judgements = read_annotations(loop)
    numbers = annotated(examples, judgements)
    if args.json:
        out.record(
            {"said": msgspec.to_builtins(one), "judged": msgspec.to_builtins(numbers.figures)}
        )
        return 0
    words = "is no longer labelled" if kind == "cleared" else f"is labelled {_spelled(kind)}"
    out.line(f"{folder} {one.id} {'has a note' if kind == 'note' else words}")
    if numbers.differs:
        out.line(f"{folder}: {told_of(numbers)}")
    return 0


def evaluated(folder: IterationFolder) -> list[Example]:
    """The examples of an iteration; raises BadInput where it was not evaluated."""
    examples = folder.read_examples()
    if not examples:
        raise BadInput(f"{folder} has no evaluated examples", f"tui-loop show {folder}")
    return examples


def example_of(folder: IterationFolder, examples: list[Example], wanted: str) -> Example:
    """The example of an id; raises BadInput."""
    for example in examples:
        if example.id == wanted:
            return example
    raise BadInput(f"{folder} has no example {wanted!r}", f"tui-loop failures {folder} --all")


def _kind(word: str | None, folder: IterationFolder, name: str) -> Kind:
    hint = f"tui-loop label {folder} {name} KIND, where KIND is {KIND_WORDS}"
    if word is None:
        raise BadInput("what is to be said of the example?", hint)
    spelled = word.casefold().replace("-", "_")
    spelled = _SHORT.get(spelled, spelled)
    for kind in KINDS:
        if kind == spelled:
            return kind
    raise BadInput(f"nothing can be said as {word!r}", hint)


def _newest(loop: LoopFolder) -> IterationFolder | None:
    """The newest iteration that was evaluated."""
    folders = [loop.iteration(number) for number in reversed(loop.numbers())]
    return next((folder for folder in folders if folder.examples.exists()), None)


def _list(loop: LoopFolder, folder: IterationFolder | None, as_json: bool, out: Output) -> int:
    judgements = read_annotations(loop)
    if judgements.trouble:
        raise BadInput(judgements.trouble, "put the file itself there, or remove it")
    rows = {row.id: row for row in folder.read_examples()} if folder is not None else {}
    states = [_state(one, rows.get(one.id), judgements) for one in judgements.said]
    number = None if folder is None else folder.number
    if as_json:
        said: list[dict[str, Any]] = [
            {**msgspec.to_builtins(one), "state": state}
            for one, state in zip(judgements.said, states, strict=True)
        ]
        out.record({"iteration": number, "said": said, "bad_lines": judgements.bad_lines})
        return 0
    if not judgements.said:
        out.line(f"{loop.name}: nothing was said of its examples yet")
    else:
        out.table(
            ["said", "now", "example", "seen in", "note or output", "prompt", "by", "when"],
            [
                _cells(one, state, rows.get(one.id))
                for one, state in zip(judgements.said, states, strict=True)
            ],
            right=(3,),
            flexible=(5, 4),
        )
    if judgements.bad_lines:
        out.note(f"{loop.labels}: {judgements.bad_lines} lines cannot be read")
    if folder is not None and judgements:
        found = annotated(list(rows.values()), judgements)
        out.line(f"{folder}: {told_of(found) or 'nothing that was said changes its numbers'}")
    return 0


def _state(one: Annotation, row: Example | None, judgements: Annotations) -> str:
    """What a line says today, held against an evaluation: `counts`, or why it does not."""
    if one.kind == "cleared" or one.kind not in KINDS:
        return ""
    if row is None or one.kind == "note":
        return "kept" if row else "no such example"
    if one.reference != short_hash(row.reference):
        return "reference changed"
    if not judgements.stands(one):
        return "taken back"
    is_other = one.kind == "accepted" and not judgements.matches(one, row)
    return "other output" if is_other else "counts"


def _cells(one: Annotation, state: str, row: Example | None) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.t)) if 0 < one.t < 1e11 else ""
    words = "; ".join(filter(None, (one.note, one.output and one_line(one.output, 80))))
    prompt = "" if row is None else row.prompt or row.reference
    return [_spelled(one.kind), state, one.id, str(one.iteration), words, prompt, one.by, when]


def _spelled(kind: str) -> str:
    return kind.replace("_", " ")
