"""What a new loop's data was read as, in lines to read; and what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.row_checks import LEAVE_OUT
from tui_loop.core.text.untrusted import one_line
from tui_loop.tui.backend import DatasetPreview, NewLoop
from tui_loop.tui.data_files import sources_in
from tui_loop.tui.hints import in_keys
from tui_loop.tui.widgets.toned import Part

LABELS_SHOWN = 40
PROMPT_SHOWN, REFERENCE_SHOWN = 400, 200

NOTHING_YET: list[list[Part]] = [
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
) -> list[list[Part]]:
    """One line on what is wrong, one on what to do about it here; paths start from `root`.

    `skip_key`: the key that leaves unusable rows out.
    """
    message = error.message.replace(f"{root}/", "")
    lines: list[list[Part]] = [[("✗ ", "bad"), (one_line(message, 600), "bad")]]
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


def understood_lines(understood: DatasetPreview) -> list[list[Part]]:
    """Shape, columns, counts, labels, what is to be noted, and the first rows."""
    lines: list[list[Part]] = [
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


def _notice_line(notice: CheckResult) -> list[Part]:
    """Returns a notice, and what to do about it: in the form now, or in the config later."""
    sign = ("! ", "warn") if notice.severity == "warning" else ("· ", "muted")
    line: list[Part] = [sign, (one_line(in_keys(notice.message, {}), 600), "")]
    if notice.hint:
        hint = in_keys(notice.hint, {}).replace("--metric ", "metric ")
        hint = _SETTING.sub(r"\1 in the config", hint)
        line.append((f" ({one_line(hint, 600)})", "muted"))
    return line


def _labels(understood: DatasetPreview) -> str:
    shown = ", ".join(one_line(label, 60) for label in understood.labels[:LABELS_SHOWN])
    more = len(understood.labels) - LABELS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _row(prompt: str, reference: str) -> list[Part]:
    if not prompt:
        return [("  ", ""), (one_line(reference, PROMPT_SHOWN), "")]
    return [
        ("  ", ""),
        (one_line(prompt, PROMPT_SHOWN), ""),
        (" → ", "muted"),
        (one_line(reference, REFERENCE_SHOWN) or "(empty)", "train"),
    ]
