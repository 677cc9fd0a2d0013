"""The state of the form for a new loop, and the lines of its dataset preview."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tui_loop.core.data.offered_files import Offers, sources_in
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.row_checks import LEAVE_OUT
from tui_loop.core.record.names import check_new_loop_name
from tui_loop.core.text.untrusted import one_line
from tui_loop.tui.actions import BY_ID
from tui_loop.tui.backend import DatasetPreview, NewLoop
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import NO_KEYMAP, in_keys, keys_of
from tui_loop.tui.widgets.form import Choice
from tui_loop.tui.widgets.styled_lines import Span

LABELS_SHOWN = 40
PROMPT_SHOWN, REFERENCE_SHOWN = 400, 200

NOTHING_YET: list[list[Span]] = [
    [("Choose a data file: JSONL, JSON, CSV, text, Parquet or Arrow.", "")],
    [
        (
            "Its columns determine the format: prompt and completion, messages, "
            "instruction and output, text, or a message and its label.",
            "muted",
        )
    ],
]

METRICS = {
    "exact_match": "equal except for case, white space and a final period",
    "contains": "the reference occurs in the output",
    "regex": "the output matches the pattern in the reference",
    "label": "the output names the right label",
    "numeric": "the last number is equal",
    "json_valid": "the output is JSON",
    "json_match": "share of equal values in the JSON",
    "tool_call": "calls the same tools with equal arguments",
    "rouge_l": "longest common word sequence (needs the train extra)",
    "chrf": "character n-gram overlap (needs the train extra)",
    "none": "no score, only the loss",
}
"""What each metric compares, as shown in the list of choices."""

MODELS = {
    "tiny": "included; trains in seconds, for trying things out",
    "smollm2": "SmolLM2-135M, a small pretrained model",
}


_SETTING = re.compile(r"--set (\S+?)(?=[;,.]?(?:\s|$))")
"""A setting in a hint; it is a field of the new loop's config, not of the form."""


def error_lines(
    error: TuiLoopError, wanted: NewLoop, root: Path, keymap: Mapping[str, str]
) -> list[list[Span]]:
    """Returns an error and its hint in terms of the form; paths are relative to `root`.

    `keymap`: the keys that the user has changed.
    """
    message = error.message.replace(f"{root}/", "")
    lines: list[list[Span]] = [[("✗ ", "bad"), (one_line(message, 600), "bad")]]
    if hint := hint_here(error.hint, wanted, keymap):
        lines.append([("  hint: ", "muted"), (one_line(hint, 600), "")])
    return lines


def hint_here(hint: str, wanted: NewLoop, keymap: Mapping[str, str]) -> str:
    """Returns a hint in terms of the form, or a shell command for what the form cannot do."""
    hint = in_keys(hint, keymap)
    skips = keys_of(BY_ID["new.skip_rows"], keymap)
    if skips and hint.endswith(LEAVE_OUT):
        return f"{hint.removesuffix(LEAVE_OUT)}or press {skips[0]} to leave such rows out"
    if "--dir" in hint:
        return f"in a shell: tui-loop demo {hint}"
    if "--set" in hint:
        name = wanted.name or "NAME"
        data = " ".join(f"--data {each}" for each in sources_in(wanted.data))
        before, settings = hint[: hint.index("--set")], hint[hint.index("--set") :]
        return f"{before}in a shell: tui-loop new {name} {data} {settings}"
    words = {"--metric ": "metric ", "--model ": "model ", "--eval PATH": "an eval file"}
    for option, here in words.items():
        hint = hint.replace(option, here)
    return hint


def preview_lines(preview: DatasetPreview, keymap: Mapping[str, str]) -> list[list[Span]]:
    """Returns shape, columns, counts, labels, notices and the first rows."""
    lines: list[list[Span]] = [
        *([("✓ ", "good"), (one_line(each, 400), "")] for each in preview.read_as),
        [
            ("  ", ""),
            (f"{preview.train_rows}", "strong"),
            (f" {_rows('training', preview.train_rows)}, ", ""),
            (f"{preview.eval_rows}", "strong"),
            (f" {_rows('evaluation', preview.eval_rows)}, metric ", ""),
            (preview.metric, "strong"),
        ],
    ]
    if preview.labels:
        lines.append(
            [("  ", ""), (f"{len(preview.labels)} labels: ", ""), (_labels(preview), "muted")]
        )
    lines += [_notice_line(each, keymap) for each in preview.notices]
    lines.append([])
    lines += [_row(prompt, reference) for prompt, reference in preview.rows]
    return lines


def _rows(split: str, count: int) -> str:
    return f"{split} row{'' if count == 1 else 's'}"


def _notice_line(notice: CheckResult, keymap: Mapping[str, str]) -> list[Span]:
    """Returns a notice and its hint, in terms of the form or of the config."""
    sign = ("! ", "warn") if notice.severity == "warning" else ("· ", "muted")
    line: list[Span] = [sign, (one_line(in_keys(notice.message, keymap), 600), "")]
    if notice.hint:
        hint = in_keys(notice.hint, keymap).replace("--metric ", "metric ")
        hint = _SETTING.sub(r"\1 in the config", hint)
        line.append((f" ({one_line(hint, 600)})", "muted"))
    return line


def _labels(preview: DatasetPreview) -> str:
    shown = ", ".join(one_line(label, 60) for label in preview.labels[:LABELS_SHOWN])
    more = len(preview.labels) - LABELS_SHOWN
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
    "data": "type a path, or choose with {new.up}{new.down} and enter; join several files with +",
    "eval": "optional: type to list files; if empty, part of the data is held out",
    "name": "suggested from the file's name",
    "model": "tiny, smollm2, a folder, a .gguf file or a hub id",
    "metric": "suggested from the data",
    "goal": "optional: what the loop is for, in your words",
}
"""The fields in order, each with its placeholder."""

OPTIONAL = ("eval", "goal")
PATHS = ("data", "eval")
SUGGESTED = ("name", "metric")
"""Fields that are suggested from the data until the user sets them."""

CREATE = "create"
"""The name of the row below the fields."""


class PreviewResult(msgspec.Struct, frozen=True):
    """The result of reading the data files: a preview or an error, and the names in use."""

    taken: frozenset[str] = frozenset()
    result: DatasetPreview | TuiLoopError | None = None
    of: tuple[str, str, bool] = ("", "", False)
    """The files that were read (`FormState.files`)."""


class FormState:
    """The state of the form; `current` is the field with the focus, or CREATE."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.values: Mapping[str, str] = dict.fromkeys(FIELDS, "")
        self.current = "data"
        self.touched: set[str] = set()
        self.options: dict[str, list[str]] = {"model": [], "metric": []}
        self.offers = dict.fromkeys(PATHS, Offers())
        self.is_choosing = True
        self.is_creating = self.is_created = False
        self.preview = PreviewResult()
        self.skips_rows = False
        self.keys = NO_KEYMAP
        """The keys that the user has changed."""
        self.progress = ("", 0)
        """The file being read and its rows so far; set by the thread that reads."""
        self.fault: TuiLoopError | None = None

    @property
    def wanted(self) -> NewLoop:
        """The loop that the form describes; the data decides the metric where the user did not."""
        values = {name: value.strip() for name, value in self.values.items()}
        if "metric" not in self.touched:
            values["metric"] = ""
        return NewLoop(**values, skips_rows=self.skips_rows)

    @property
    def question(self) -> NewLoop | None:
        """What to preview; None while a value is still being chosen."""
        if not self.wanted.data or self.is_choosing:
            return None
        return msgspec.structs.replace(self.wanted, name="", goal="")

    @property
    def may_stay_empty(self) -> bool:
        """Whether the current field is optional and empty."""
        return self.current in OPTIONAL and not self.values[self.current].strip()

    @property
    def has_choices(self) -> bool:
        """Whether enter lists choices for the current field; not for an existing file."""
        name = self.current
        return name in self.options or (name in PATHS and not self.offers[name].is_file)

    def choices(self) -> tuple[list[Choice], str]:
        """Returns the choices for the current field, and the text to show for none."""
        if self.current in PATHS:
            return self._files()
        if self.current not in self.options:
            return [], ""
        words, nothing = MODELS, "no match; the text is used as typed"
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
            Choice(each.path, refusal="" if each.is_plain else "rename the file to use it")
            for each in found.rows
            if each.path != other
        ]
        if found.is_file:
            return rows, ""
        return (
            rows,
            found.problem or "no such file; data can be JSONL, JSON, CSV, text, Parquet or Arrow",
        )

    def lines(self) -> list[list[Span]]:
        """Returns the problems, then the preview."""
        wanted, result = self.wanted, self._result
        found = result if isinstance(result, TuiLoopError) else None
        problems = {each.message: each for each in (self.fault, self.name_problem, found) if each}
        lines = [
            line
            for each in problems.values()
            for line in error_lines(each, wanted, self.root, self.keys)
        ]
        if isinstance(result, DatasetPreview):
            return lines + preview_lines(result, self.keys)
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
        """The fields with a problem."""
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
        """The problem of the name, None where there is none."""
        name = self.wanted.name
        try:
            if name:
                check_new_loop_name(name)
        except BadInput as error:
            return error
        if name in self.preview.taken and not self.is_creating:
            return BadInput(f"a loop named {name} exists already", "choose another name")
        return None

    @property
    def _result(self) -> DatasetPreview | TuiLoopError | None:
        return self.preview.result if self.is_current else None

    @property
    def is_current(self) -> bool:
        """Whether the preview is of the files in the form."""
        return self.preview.of == self.files

    @property
    def files(self) -> tuple[str, str, bool]:
        """What determines the rows: the files, and whether unusable rows are left out."""
        return self.wanted.data, self.wanted.eval, self.skips_rows
