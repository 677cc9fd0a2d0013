"""Preflight checks of how rows are rendered: templates, the ends of answers, special tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tui_loop.core.data.rows import Row
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    evidence,
    info,
    shown,
    warning,
)
from tui_loop.core.text.figures import of_all, share
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.loss_mask import LossMasker, MaskedTokens
from tui_loop.engine.rendering import Flaw
from tui_loop.engine.templates import ChatTemplate

PARTS_ROWS = 200
"""Rows whose turns are counted by role, and whose texts under two templates are compared."""

_ROW_TEMPLATE = "--set data.chat_template=FILE, your own template"


def check_rendering(
    masker: LossMasker, rows: Sequence[tuple[Row, MaskedTokens]]
) -> list[CheckResult]:
    """Checks the rendered training rows."""
    if not rows:
        return []
    return [
        *_stop(masker),
        *_roles(masker, rows),
        *_other_template(masker, [row for row, _ in rows]),
        *_flaws(masker, rows),
        *_special_tokens(masker, [row for row, _ in rows]),
    ]


def _stop(masker: LossMasker) -> list[CheckResult]:
    """Says what ends an answer; warns where programs that know only the eos would not stop."""
    stop, tokenizer = masker.renderer.stop, masker.tokenizer
    names = [one_line(str(each), 30) for each in tokenizer.convert_ids_to_tokens(list(stop.ids))]
    names += [repr(one_line(each, 30)) for each in stop.strings]
    if not names:
        return []  # each row lacks its end, which is another result
    results = [info(CheckKind.STOP, f"an answer ends with {' or '.join(names)}")]
    turn_end = masker.renderer.turn_end
    known = {tokenizer.eos_token_id, *masker.model_ends}
    if turn_end is not None and turn_end not in known:
        end = str(tokenizer.convert_ids_to_tokens(turn_end))
        results.append(
            warning(
                CheckKind.OTHER_EOS,
                f"the chat template ends answers with {one_line(end, 30)}, and the model's own "
                f"end-of-sequence token is {one_line(str(tokenizer.eos_token), 30)}: other "
                "programs may not stop there",
                f"--set training.eos_token='{one_line(end, 30)}'",
            )
        )
    return results


def _roles(masker: LossMasker, rows: Sequence[tuple[Row, MaskedTokens]]) -> list[CheckResult]:
    """Says what share of each role's tokens is trained on."""
    if masker.renderer.template is None:
        return []
    tokens: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    for row, _ in rows[:PARTS_ROWS]:
        whole = masker.renderer.tokens(row)
        for part in masker.renderer.parts(row):
            tokens[part.role] += part.end - part.start
            trained[part.role] += sum(whole.trained[part.start : part.end])
    shares = ", ".join(f"{role} {share(trained[role], tokens[role])}" for role in tokens)
    return [info(CheckKind.TRAINED_ROLES, f"tokens trained on by role: {shares}")]


def _other_template(masker: LossMasker, rows: Sequence[Row]) -> list[CheckResult]:
    """Reports rows that TRL's training template renders differently from the model's own."""
    template = masker.renderer.template
    if template is None or template.source != "trl":
        return []
    own, sample = ChatTemplate(masker.tokenizer), rows[:PARTS_ROWS]
    differing = [row for row in sample if _is_different(masker, own, row)]
    return [
        warning(
            CheckKind.OTHER_TEMPLATE,
            "rows are rendered with TRL's training template for this model, and "
            f"{of_all(len(differing), len(sample), 'training rows')} differ from the model's own",
            _ROW_TEMPLATE,
            count=len(differing),
            rows=evidence(shown("train", row) for row in differing),
        )
    ]


def _is_different(masker: LossMasker, own: ChatTemplate, row: Row) -> bool:
    try:
        text = own.render(masker.renderer.turns(row), row.tools)
    except Exception:  # a template may raise anything
        return True
    return text != masker.renderer.conversation(row).text


def _flaws(masker: LossMasker, rows: Sequence[tuple[Row, MaskedTokens]]) -> list[CheckResult]:
    results = []
    for flaw, (kind, what, hint) in _flaw_texts(masker).items():
        found = [row for row, masked in rows if flaw in masked.flaws]
        if not found:
            continue
        extra = ""
        if flaw == "dropped":
            first = masker.renderer.conversation(found[0]).dropped[0]
            extra = f", first {one_line(first, 40)!r} of line {found[0].line}"
        results.append(
            warning(
                kind,
                f"{of_all(len(found), len(rows), 'training rows')}: {what}{extra}",
                hint,
                count=len(found),
                rows=evidence(shown("train", row) for row in found),
            )
        )
    return results


def _flaw_texts(masker: LossMasker) -> dict[Flaw, tuple[CheckKind, str, str]]:
    """Returns the kind of check, what is wrong, and the hint for each flaw."""
    no_stop_hint = "--set training.eos_token=TOKEN, one that ends a text"
    if masker.renderer.template is not None:
        no_stop_hint = f"{_ROW_TEMPLATE}, or --set evaluation.stop with a text that ends answers"
    return {
        "dropped": (
            CheckKind.DROPPED,
            "the chat template leaves out a part",
            _ROW_TEMPLATE,
        ),
        "other_prompt": (
            CheckKind.OTHER_PROMPT,
            "the chat template's generation prompt is not how the trained answer begins; "
            "generation begins as the row does",
            _ROW_TEMPLATE,
        ),
        "no_stop": (
            CheckKind.NO_STOP,
            "no token that ends an answer is trained on, so the model does not learn to stop",
            no_stop_hint,
        ),
        "merged": (
            CheckKind.MERGED,
            "the prompt's end and the answer's start would be one token; the row is split there, "
            "as it is for generation",
            "end prompts with a blank, a newline or a colon, or set data.prompt_template",
        ),
    }


def _special_tokens(masker: LossMasker, rows: Sequence[Row]) -> list[CheckResult]:
    """Reports special tokens that are written out in the text of rows."""
    special = [each for each in masker.tokenizer.all_special_tokens if len(each) > 1]
    found: list[Row] = []
    names: dict[str, None] = {}
    for row in rows:
        texts = [turn.content for turn in row.messages] or [row.prompt, row.reference]
        there = [each for each in special if any(each in text for text in texts)]
        if there:
            found.append(row)
            names.update(dict.fromkeys(there))
    if not found:
        return []
    shown_names = ", ".join(one_line(each, 30) for each in list(names)[:5])
    return [
        warning(
            CheckKind.SPECIAL_TOKENS,
            f"{of_all(len(found), len(rows), 'training rows')} contain special tokens as text "
            f"({shown_names}), which the model reads as its own marks",
            "remove them from the text, or give the rows as messages",
            count=len(found),
            rows=evidence(shown("train", row) for row in found),
        )
    ]
