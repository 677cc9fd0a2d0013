"""The state of the form for a new loop, and the preview of its dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.row_checks import LEAVE_OUT
from tui_loop.core.record.names import check_new_loop_name
from tui_loop.core.text.untrusted import one_line
from tui_loop.tui.backend import DatasetPreview, NewLoop
from tui_loop.tui.cells import flat
from tui_loop.tui.data_files import Offers, sources_in
from tui_loop.tui.hints import in_keys
from tui_loop.tui.widgets.form import Choice
from tui_loop.tui.widgets.styled_lines import Span

LABELS_SHOWN = 40
PROMPT_SHOWN, REFERENCE_SHOWN = 400, 200

NOTHING_YET: list[list[Span]] = [
    [("Choose a data file: JSONL, JSON, CSV, text, Parquet or Arrow.", "")],
    [
        (
            "What it holds is seen from its columns: prompt and completion, messages, "
            "instruction and output, text, or a message and its label.",
            "muted",
        )
    ],
]

METRICS = {
    "exact_match": "equal, but for case, white space and a final full stop",
    "contains": "the reference occurs in the output",
    "regex": "the output matches the reference, read as a pattern",
    "label": "names the right one of a few labels",
    "numeric": "the last number is the right one",
    "json_valid": "the output is JSON",
    "json_match": "share of equal values in the JSON",
    "tool_call": "calls the same tools with equal arguments",
    "rouge_l": "longest common run of words (train extra)",
    "chrf": "overlap of character sequences (train extra)",
    "none": "no score, only the loss",
}
"""What each metric looks at, for those who choose one."""

MODELS = {
    "tiny": "shipped, trains in seconds: to try things out",
    "smollm2": "SmolLM2-135M: small and real",
}


_SETTING = re.compile(r"--set (\S+?)(?=[;,.]?(?:\s|$))")
"""A setting in a hint; the form has no field for it, the new loop's config has."""


def error_lines(
    error: TuiLoopError, wanted: NewLoop, root: Path, skip_key: str = ""
) -> list[list[Span]]:
    """One line on what is wrong, one on what to do about it here; paths start from `root`.

    `skip_key`: the key that leaves unusable rows out.
    """
    message = error.message.replace(f"{root}/", "")
    lines: list[list[Span]] = [[("✗ ", "bad"), (one_line(message, 600), "bad")]]
    if hint := hint_here(error.hint, wanted, skip_key):
        lines.append([("  hint: ", "muted"), (one_line(hint, 600), "")])
    return lines


def hint_here(hint: str, wanted: NewLoop, skip_key: str = "") -> str:
    """A hint for the command line in words of the form; what only that can do is spelled out."""
    hint = in_keys(hint, {})
    if skip_key and hint.endswith(LEAVE_OUT):
        return f"{hint.removesuffix(LEAVE_OUT)}or press {skip_key} to leave such rows out"
    if "--dir" in hint:
        return f"in a shell: tui-loop demo {hint}"
    if "--set" in hint:
        name = wanted.name or "NAME"
        data = " ".join(f"--data {each}" for each in sources_in(wanted.data))
        before, settings = hint[: hint.index("--set")], hint[hint.index("--set") :]
        return f"{before}in a shell: tui-loop new {name} {data} {settings}"
    words = {"--metric ": "metric ", "--model ": "model ", "--eval PATH": "an eval file"}
    for told, here in words.items():
        hint = hint.replace(told, here)
    return hint


def understood_lines(understood: DatasetPreview) -> list[list[Span]]:
    """Shape, columns, counts, labels, what is to be noted, and the first rows."""
    lines: list[list[Span]] = [
        *([("✓ ", "good"), (one_line(each, 400), "")] for each in understood.read_as),
        [
            ("  ", ""),
            (f"{understood.train_rows}", "strong"),
            (" rows to train on, ", ""),
            (f"{understood.eval_rows}", "strong"),
            (" held out, metric ", ""),
            (understood.metric, "strong"),
        ],
    ]
    if understood.labels:
        lines.append(
            [("  ", ""), (f"{len(understood.labels)} labels: ", ""), (_labels(understood), "muted")]
        )
    lines += map(_notice_line, understood.notices)
    lines.append([])
    lines += [_row(prompt, reference) for prompt, reference in understood.rows]
    return lines


def _notice_line(notice: CheckResult) -> list[Span]:
    """Returns a notice, and what to do about it: in the form now, or in the config later."""
    sign = ("! ", "warn") if notice.severity == "warning" else ("· ", "muted")
    line: list[Span] = [sign, (one_line(in_keys(notice.message, {}), 600), "")]
    if notice.hint:
        hint = in_keys(notice.hint, {}).replace("--metric ", "metric ")
        hint = _SETTING.sub(r"\1 in the config", hint)
        line.append((f" ({one_line(hint, 600)})", "muted"))
    return line


def _labels(understood: DatasetPreview) -> str:
    shown = ", ".join(one_line(label, 60) for label in understood.labels[:LABELS_SHOWN])
    more = len(understood.labels) - LABELS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _row(prompt: str, reference: str) -> list[Span]:
    if not prompt:
        return [("  ", ""), (one_line(reference, PROMPT_SHOWN), "")]
    return [
        ("  ", ""),
        (one_line(prompt, PROMPT_SHOWN), ""),
        (" → ", "muted"),
        (one_line(reference, REFERENCE_SHOWN) or "(empty)", "train"),
    ]


FIELDS = {
    "data": "type a path, or choose with ↑↓ and enter; join several with " + "",
    "eval": "optional: type to list files; empty: rows are held out",
    "name": "suggested from the file's name",
    "model": "tiny, smollm2, a folder, a .gguf file or a hub id",
    "metric": "as the data suggests",
    "goal": "optional: what the loop is for, in your words",
}
"""The fields in order, with what stands in an empty one."""

OPTIONAL = ("eval", "goal")
PATHS = ("data", "eval")
SUGGESTED = ("name", "metric")
"""Fields that the data fills until a person does."""

CREATE = "create"
"""Stands for the row below the fields."""


class Seen(msgspec.Struct, frozen=True):
    """What was found out: names that are taken, and the data or what is wrong with it."""

    taken: frozenset[str] = frozenset()
    result: DatasetPreview | TuiLoopError | None = None
    of: tuple[str, str, bool] = ("", "", False)
    """What was read (`FormState.files`)."""


class FormState:
    """The form at one moment; `current` is the field with the focus, or CREATE."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.values: Mapping[str, str] = dict.fromkeys(FIELDS, "")
        self.current = "data"
        self.touched: set[str] = set()
        self.options: dict[str, list[str]] = {"model": [], "metric": []}
        self.offers = dict.fromkeys(PATHS, Offers())
        self.is_choosing = True
        self.is_creating = False
        self.answer = Seen()
        self.skips_rows = False
        self.skip_key = ""
        """The key that leaves unusable rows out, "" where the user has taken it away."""
        self.progress = ("", 0)
        """The file that is read, and its rows so far; written by the thread that reads."""
        self.fault: TuiLoopError | None = None

    @property
    def wanted(self) -> NewLoop:
        """The loop as the form has it; a metric that nobody chose is left to the data."""
        values = {name: value.strip() for name, value in self.values.items()}
        if "metric" not in self.touched:
            values["metric"] = ""
        return NewLoop(**values, skips_rows=self.skips_rows)

    @property
    def question(self) -> NewLoop | None:
        """What is to be found out of the data; None while something is still being chosen."""
        if not self.wanted.data or self.is_choosing:
            return None
        return msgspec.structs.replace(self.wanted, name="", goal="")

    @property
    def may_stay_empty(self) -> bool:
        """Whether the current field is optional and empty."""
        return self.current in OPTIONAL and not self.values[self.current].strip()

    @property
    def has_choices(self) -> bool:
        """Whether enter lists choices for the current field; a file that is there needs none."""
        name = self.current
        return name in self.options or (name in PATHS and not self.offers[name].is_file)

    def choices(self) -> tuple[list[Choice], str]:
        """What may be taken for the current field, and what to say where that is nothing."""
        if self.current in PATHS:
            return self._files()
        if self.current not in self.options:
            return [], ""
        words, nothing = MODELS, "taken as it is typed"
        if self.current == "metric":
            words, nothing = METRICS, "no such metric"
        typed, options = self.values[self.current].strip(), self.options[self.current]
        if self.is_choosing and typed not in options:
            options = [each for each in options if typed.lower() in each]
        return [Choice(each, words.get(each, "")) for each in options], nothing

    def _files(self) -> tuple[list[Choice], str]:
        found = self.offers[self.current]
        other = self.values["data"] if self.current == "eval" else None
        rows = [
            Choice(each.path, refusal="" if each.is_plain else "rename it to use it")
            for each in found.rows
            if each.path != other
        ]
        if found.is_file:
            return rows, ""
        return rows, found.problem or "no such data file: JSONL, JSON, CSV, text, Parquet or Arrow"

    def lines(self) -> list[list[Span]]:
        """What is wrong, then what the data was read as."""
        wanted, result = self.wanted, self._result
        found = result if isinstance(result, TuiLoopError) else None
        problems = {each.message: each for each in (self.fault, self.name_problem, found) if each}
        lines = [
            line
            for each in problems.values()
            for line in error_lines(each, wanted, self.root, self.skip_key)
        ]
        if isinstance(result, DatasetPreview):
            return lines + understood_lines(result)
        if result is None and self.question is not None:
            return [*lines, [(self._reading, "muted")]]
        return lines if found is not None else lines + NOTHING_YET

    @property
    def _reading(self) -> str:
        entry, rows = self.progress
        return (
            f"reading {flat(entry, 60)}: {rows:,} rows so far" if rows else "reading the data ..."
        )

    @property
    def wrong(self) -> frozenset[str]:
        """The fields that something is wrong with."""
        names = {"name"} if self.name_problem else set()
        if isinstance(self._result, TuiLoopError):
            message, held = self._result.message, self.wanted.eval
            if message.startswith("model"):
                names.add("model")
            elif message.startswith(("metric", "evaluation.metric")):
                names.add("metric")
            else:
                is_eval = bool(held) and f"{held}:" in message
                names.add("eval" if is_eval else "data")
        return frozenset(names)

    @property
    def name_problem(self) -> TuiLoopError | None:
        """What is wrong with the name, None while there is none to judge."""
        name = self.wanted.name
        try:
            if name:
                check_new_loop_name(name)
        except BadInput as error:
            return error
        if name in self.answer.taken and not self.is_creating:
            return BadInput(f"there is a loop {name} already", "choose another name")
        return None

    @property
    def _result(self) -> DatasetPreview | TuiLoopError | None:
        return self.answer.result if self.is_answered else None

    @property
    def is_answered(self) -> bool:
        """Whether the answer is of the files that the form names now."""
        return self.answer.of == self.files

    @property
    def files(self) -> tuple[str, str, bool]:
        """What decides which rows are read: the files, and whether unusable rows are left out."""
        return self.wanted.data, self.wanted.eval, self.skips_rows
