"""Preflight checks of how rows are rendered: templates, the ends of answers, special tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

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
from tui_loop.engine.preflight.loss_mask import LossMasker, MaskedTokens
from tui_loop.engine.rendering import Flaw
from tui_loop.engine.templates import ChatTemplate

PARTS_ROWS = 200
"""Rows whose turns are counted by role, and whose texts under two templates are compared."""

NAME_LENGTH, PART_LENGTH = 30, 40
"""Characters of a token and of a lost part in a message."""

NAMES_SHOWN = 5
"""Special tokens that a message names."""

_OWN_TEMPLATE = "--set data.chat_template=FILE with your own template"


class _FlawText(msgspec.Struct, frozen=True):
    """The kind of check of a flaw; what one row and several rows do; the hint."""

    kind: CheckKind
    one: str
    many: str
    hint: str


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
    names = [_token_name(each) for each in tokenizer.convert_ids_to_tokens(list(stop.ids))]
    names += [repr(one_line(each, NAME_LENGTH)) for each in stop.strings]
    if not names:
        return []  # each row lacks its end, which is another result
    results = [info(CheckKind.STOP, f"generation stops at {' or '.join(names)}")]
    turn_end = masker.renderer.turn_end
    known = {tokenizer.eos_token_id, *masker.model_ends}
    if turn_end is not None and turn_end not in known:
        end = _token_name(tokenizer.convert_ids_to_tokens(turn_end))
        eos = tokenizer.eos_token
        own = "has no end-of-sequence token"
        if eos is not None:
            own = f"has the end-of-sequence token {_token_name(eos)}"
        results.append(
            warning(
                CheckKind.OTHER_EOS,
                f"the chat template ends answers with {end}, but the model {own}: other inference "
                "programs may not stop at the end of an answer",
                f"--set training.eos_token='{end}'",
            )
        )
    return results


def _token_name(token: object) -> str:
    return one_line(str(token), NAME_LENGTH)


def _roles(masker: LossMasker, rows: Sequence[tuple[Row, MaskedTokens]]) -> list[CheckResult]:
    """Says what share of each role's tokens is trained on."""
    if masker.renderer.template is None:
        return []
    tokens: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    for row, _ in rows[:PARTS_ROWS]:
        whole = masker.apply(row, whole=True)
        for part in masker.renderer.parts(row):
            tokens[part.role] += part.end - part.start
            trained[part.role] += sum(whole.trained[part.start : part.end])
    shares = ", ".join(f"{role} {share(trained[role], tokens[role])}" for role in tokens)
    return [
        info(CheckKind.TRAINED_ROLES, f"share of tokens that are trained on, by role: {shares}")
    ]


def _other_template(masker: LossMasker, rows: Sequence[Row]) -> list[CheckResult]:
    """Reports rows that TRL's training template renders differently from the model's own."""
    template = masker.renderer.template
    if template is None or template.source != "trl":
        return []
    own, sample = ChatTemplate(masker.tokenizer), rows[:PARTS_ROWS]
    differing = [row for row in sample if _is_different(masker, own, row)]
    if not differing:
        message = (
            "TRL's training template renders the rows exactly as the model's own template does"
        )
        return [info(CheckKind.OTHER_TEMPLATE, message)]
    noun = _row_noun(masker, sample)
    return [
        warning(
            CheckKind.OTHER_TEMPLATE,
            f"TRL's training template, which is used here, renders "
            f"{of_all(len(differing), len(sample), noun)} differently from the model's own chat "
            "template",
            _OWN_TEMPLATE,
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
    """Reports the flaws of rendered rows, one result for each kind of flaw."""
    results = []
    noun = _row_noun(masker, rows)
    for flaw, text in _flaw_texts(masker).items():
        found = [row for row, masked in rows if flaw in masked.flaws]
        if not found:
            continue
        extra = ""
        if flaw == "dropped":
            first = masker.renderer.conversation(found[0]).dropped[0]
            extra = f"; line {found[0].line} loses {one_line(first, PART_LENGTH)!r}"
        results.append(
            warning(
                text.kind,
                f"{of_all(len(found), len(rows), noun)} "
                f"{text.one if len(found) == 1 else text.many}{extra}",
                text.hint,
                count=len(found),
                rows=evidence(shown("train", row) for row in found),
            )
        )
    return results


def _flaw_texts(masker: LossMasker) -> dict[Flaw, _FlawText]:
    """Returns the texts on each flaw, in the order of the results."""
    no_stop = "an answer without an end token, so the model does not learn to stop"
    merged = "a token across the boundary of prompt and answer"
    prompt = "the answer differently from the chat template's generation prompt"
    from_here = "evaluation starts answers as in training, but other programs may not"
    return {
        "dropped": _FlawText(
            CheckKind.DROPPED,
            "loses a part of its content in the chat template",
            "lose a part of their content in the chat template",
            _OWN_TEMPLATE,
        ),
        "other_prompt": _FlawText(
            CheckKind.OTHER_PROMPT,
            f"starts {prompt}; {from_here}",
            f"start {prompt}; {from_here}",
            _OWN_TEMPLATE,
        ),
        "no_stop": _FlawText(
            CheckKind.NO_STOP, f"has {no_stop}", f"have {no_stop}", _stop_hint(masker)
        ),
        "merged": _FlawText(
            CheckKind.MERGED,
            f"would have {merged}; the text is split there, as in generation",
            f"would have {merged}; the text is split there, as in generation",
            _split_hint(masker),
        ),
    }


def _stop_hint(masker: LossMasker) -> str:
    if masker.renderer.template is None:
        return "--set training.eos_token=TOKEN, the model's token for the end of a text"
    return f"{_OWN_TEMPLATE}, or --set evaluation.stop with the string that ends an answer"


def _split_hint(masker: LossMasker) -> str:
    """Returns how to keep the prompt's end and the answer's start apart."""
    if masker.renderer.template is not None:
        return f"{_OWN_TEMPLATE} whose generation prompt ends with a newline or a special token"
    if masker.config.data.prompt_template is not None:
        return "end data.prompt_template with a colon or a newline, without a space after it"
    return "begin completions with a space, or --set data.prompt_template='{prompt} Answer:'"


def _special_tokens(masker: LossMasker, rows: Sequence[Row]) -> list[CheckResult]:
    """Reports special tokens that are written out in the text of rows."""
    special = [each for each in masker.tokenizer.all_special_tokens if len(each) > 1]
    found: list[Row] = []
    names: dict[str, None] = {}
    for row in rows:
        text = _written_text(row)
        there = [each for each in special if each in text]
        if there:
            found.append(row)
            names.update(dict.fromkeys(there))
    if not found:
        return []
    shown_names = ", ".join(map(_token_name, list(names)[:NAMES_SHOWN]))
    hint = "remove these tokens from the text"
    if not found[0].messages:  # such a text may hold turns
        hint += ", or give the rows as messages"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return [
        warning(
            CheckKind.SPECIAL_TOKENS,
            f"{of_all(len(found), len(rows), _row_noun(masker, rows))} "
            f"{'contains' if len(found) == 1 else 'contain'} special tokens as text "
            f"({shown_names}{more}), which the model reads as control tokens",
            hint,
            count=len(found),
            rows=evidence(shown("train", row) for row in found),
        )
    ]


def _written_text(row: Row) -> str:
    """Returns all text that a row brings into its rendering, one part a line."""
    if not row.messages:
        return f"{row.prompt}\n{row.reference}"
    parts = [row.tools]
    for turn in row.messages:
        parts += [turn.content, turn.reasoning, *(call.arguments for call in turn.tool_calls)]
    return "\n".join(parts)


def _row_noun(masker: LossMasker, rows: Sequence[object]) -> str:
    return "training rows" if len(rows) == len(masker.data.train) else "sampled training rows"
