"""The checks of rendering: each is raised where it should be, and none for a sound model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trl
from transformers import PreTrainedTokenizerBase

from tests.engine.small_tokenizers import byte_level, sentence_piece
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.engine.preflight import loss_mask, rendering_checks
from tui_loop.engine.preflight.loss_mask import LossMasker
from tui_loop.engine.preflight.rendering_checks import check_rendering

Check = Callable[..., dict[str, CheckResult]]

pytestmark = pytest.mark.train

MARKS = ["<|end|>", "<|turn|>", "<|close|>"]
SOUND = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|close|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
WITHOUT_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' %}<|turn|>{{ m.role }}\n{{ m.content }}"
    "<|close|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
THINKING_PROMPT = SOUND.replace("<|turn|>assistant\n", "<|turn|>assistant\n<plan>\n")
ROLES_AS_MARKS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|close|>{% endfor %}"


def chat(*texts: str, system: str = "") -> dict[str, Any]:
    """A row of turns, the user's and the assistant's by turns."""
    roles = ("user", "assistant") * len(texts)
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    first = [{"role": "system", "content": system}] if system else []
    return {"messages": [*first, *turns]}


CHATS = [
    chat("Where is the ferry?", "It left at nine.", "And the next one?", "At eleven."),
    chat("Is the harbour open?", "Yes, until dusk."),
    chat("Who keeps the light?", "Nobody does; it is automatic."),
]
WITH_SYSTEM = [*CHATS, chat("Which pier?", "Pier four.", system="Name piers only.")]
PAIRS = [
    {"prompt": "Which pier has the ferry?", "completion": " four"},
    {"prompt": "Which pier has the tug?", "completion": " two"},
]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks rows for a base with a tokenizer; `ends`: the token of its generation config."""

    def checked(
        tokenizer: PreTrainedTokenizerBase,
        rows: list[dict[str, Any]],
        *settings: str,
        ends: str | None = None,
    ) -> dict[str, CheckResult]:
        base = tmp_path / "base"
        shutil.rmtree(base, ignore_errors=True)
        tokenizer.save_pretrained(base)
        known = tokenizer.eos_token_id if ends is None else tokenizer.convert_tokens_to_ids(ends)
        (base / "config.json").write_text(json.dumps({"model_type": "gpt2", "eos_token_id": known}))
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "rows.jsonl").write_text(lines)
        given = [f"model.id={base}", "data.train=rows.jsonl", "data.eval=rows.jsonl", *settings]
        config = with_settings(Config(), given)
        masker = LossMasker(config, tmp_path, load_data(config, tmp_path))
        rendered, refused = masker.render()
        assert refused == []
        results = check_rendering(masker, rendered)
        assert len({each.kind for each in results}) == len(results)
        return {each.kind.value: each for each in results}

    return checked


def model(template: str | None = SOUND, **more: Any) -> PreTrainedTokenizerBase:
    """A byte-level tokenizer whose turns end with its end-of-sequence token."""
    return byte_level(MARKS, template=template, **{"eos": "<|close|>", **more})


def test_a_sound_model_has_no_warning(check: Check) -> None:
    chats = check(model(), WITH_SYSTEM)
    assert set(chats) == {"stop", "trained_roles"}
    assert {each.severity for each in chats.values()} == {"info"}
    assert set(check(model(), PAIRS)) == {"stop", "trained_roles"}
    assert set(check(model(None), PAIRS)) == {"stop"}
    assert set(check(model(None), [{"text": "A gull is a bird."}])) == {"stop"}
    pieces = sentence_piece(MARKS, eos="<|close|>", template=SOUND)
    assert set(check(pieces, WITH_SYSTEM)) == {"stop", "trained_roles"}
    pieces.chat_template = None
    assert set(check(pieces, PAIRS)) == {"stop"}


def test_no_rows_have_no_results(check: Check, tmp_path: Path) -> None:
    check(model(), CHATS)
    given = [f"model.id={tmp_path / 'base'}", "data.train=rows.jsonl", "data.eval=rows.jsonl"]
    config = with_settings(Config(), given)
    assert check_rendering(LossMasker(config, tmp_path, load_data(config, tmp_path)), []) == []


def test_tokens_and_texts_that_end_an_answer_are_named(check: Check) -> None:
    assert check(model(), CHATS)["stop"].message == "generation stops at <|close|>"
    as_text = model(ROLES_AS_MARKS.replace("<|close|>", "//"), eos="<|end|>")
    as_text.chat_template += "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    found = check(as_text, CHATS, 'evaluation.stop=["###"]')
    assert found["stop"].message == "generation stops at <|end|> or '//' or '###'"
    assert "no_stop" not in found


def test_the_trained_share_of_each_role_is_given(check: Check) -> None:
    told = check(model(), WITH_SYSTEM)["trained_roles"]
    assert told.message.startswith(
        "share of tokens that are trained on, by role: user 0%, assistant "
    )
    assert told.message.endswith(", system 0%")
    everything = check(model(), CHATS, "data.train_on=all")["trained_roles"]
    assert (
        everything.message
        == "share of tokens that are trained on, by role: user 100%, assistant 100%"
    )
    cut = check(model(), CHATS[:1], "training.max_length=8")["trained_roles"]
    assert cut.message == "share of tokens that are trained on, by role: user 0%, assistant 0%"


def test_an_end_of_turn_that_the_model_does_not_know_is_a_warning(check: Check) -> None:
    warned = check(model(eos="<|end|>"), CHATS)["other_eos"]
    assert warned.severity == "warning"
    assert warned.message == (
        "the chat template ends answers with <|close|>, but the model has the end-of-sequence "
        "token <|end|>: other inference programs may not stop at the end of an answer"
    )
    assert warned.hint == "--set training.eos_token='<|close|>'"
    setting = warned.hint.removeprefix("--set ")
    assert "other_eos" not in check(model(eos="<|end|>"), CHATS, setting)
    assert "other_eos" not in check(model(eos="<|end|>"), CHATS, ends="<|close|>")


def test_a_model_without_an_end_of_sequence_token_is_named_so(check: Check) -> None:
    warned = check(model(eos=None), CHATS, ends="<|end|>")["other_eos"]
    assert "but the model has no end-of-sequence token: other" in warned.message


def test_rows_that_the_training_template_of_trl_renders_differently_are_counted(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = Path(trl.__file__).parent / "chat_templates"
    own = (templates / "deepseek_r1_distill.jinja").read_text(encoding="utf-8")
    marks = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]
    thinks = byte_level(marks, bos=marks[0], eos=marks[1], template=own)
    thoughtful = chat("Which pier?", "Pier four.")
    thoughtful["messages"][-1]["reasoning_content"] = "The ferry is at the fourth."
    found = check(thinks, [*CHATS, thoughtful])
    warned = found["other_template"]
    assert (warned.severity, warned.count) == ("warning", 1)
    assert warned.message == (
        "TRL's training template, which is used here, renders 1 of 4 training rows (25%) "
        "differently from the model's own chat template"
    )
    assert [row.line for row in warned.rows] == [4]
    assert "dropped" not in found
    second = {**thoughtful, "id": "b"}
    both = check(thinks, [*CHATS, {**thoughtful, "id": "a"}, second])["other_template"]
    assert "renders 2 of 5 training rows (40%) differently" in both.message
    monkeypatch.setattr(rendering_checks, "_is_different", lambda *_: False)
    same = check(thinks, [thoughtful])["other_template"]
    assert same.severity == "info"
    assert same.message == (
        "TRL's training template renders the rows exactly as the model's own template does"
    )


def test_parts_that_the_chat_template_leaves_out_are_named(check: Check) -> None:
    warned = check(model(WITHOUT_SYSTEM), WITH_SYSTEM)["dropped"]
    assert (warned.severity, warned.count) == ("warning", 1)
    assert warned.message == (
        "1 of 4 training rows (25%) loses a part of its content in the chat template; "
        "line 4 loses 'Name piers only.'"
    )
    assert [row.line for row in warned.rows] == [4]
    twice = [*WITH_SYSTEM, chat("Which lamp?", "The green one.", system="Name lamps.")]
    assert check(model(WITHOUT_SYSTEM), twice)["dropped"].message.startswith(
        "2 of 5 training rows (40%) lose a part of their content in the chat template; line 4"
    )


def test_a_generation_prompt_that_was_not_trained_is_a_warning(check: Check) -> None:
    found = check(model(THINKING_PROMPT), CHATS)
    assert set(found) == {"stop", "trained_roles", "other_prompt"}
    warned = found["other_prompt"]
    assert (warned.severity, warned.count) == ("warning", 3)
    assert warned.message == (
        "3 of 3 training rows (100%) start the answer differently from the chat template's "
        "generation prompt; evaluation starts answers as in training, but other programs may not"
    )
    [one] = [
        each.message
        for kind, each in check(model(THINKING_PROMPT), CHATS[:1]).items()
        if kind == "other_prompt"
    ]
    assert one.startswith("1 of 1 training rows (100%) starts the answer differently")


def test_answers_without_an_end_are_a_warning_with_what_to_set(check: Check) -> None:
    unended = model(PLAIN, eos="<|end|>")
    warned = check(unended, CHATS)["no_stop"]
    assert (warned.severity, warned.count) == ("warning", 3)
    assert warned.message == (
        "3 of 3 training rows (100%) have an answer without an end token, so the model does not "
        "learn to stop"
    )
    assert "--set data.chat_template=FILE" in warned.hint
    assert "--set evaluation.stop" in warned.hint
    assert "no_stop" not in check(unended, CHATS, r'evaluation.stop=["\n"]')
    assert check(unended, CHATS[1:2])["no_stop"].message.startswith("1 of 1 training rows (100%) h")


def test_rows_without_a_template_lack_an_end_where_there_is_no_end_of_sequence(
    check: Check,
) -> None:
    endless = model(None, eos=None)
    found = check(endless, PAIRS, ends="<|turn|>")
    assert (
        found["no_stop"].hint
        == "--set training.eos_token=TOKEN, the model's token for the end of a text"
    )
    ended = check(endless, PAIRS, "training.eos_token='<|close|>'", ends="<|turn|>")
    assert "no_stop" not in ended


def test_a_prompt_that_would_merge_with_its_answer_is_a_warning(check: Check) -> None:
    cut = [{"prompt": "The red kite flies over the har", "completion": "bour at noon."}, *PAIRS]
    warned = check(model(None), cut)["merged"]
    assert (warned.severity, warned.count) == ("warning", 1)
    assert warned.message == (
        "1 of 3 training rows (33%) would have a token across the boundary of prompt and answer; "
        "the text is split there, as in generation"
    )
    assert [row.line for row in warned.rows] == [1]
    setting = warned.hint.partition("--set ")[2]
    assert "merged" not in check(model(None), cut, setting)
    blank = check(model(None), cut, "data.prompt_template='{prompt} Answer: '")["merged"]
    assert blank.message.startswith("1 of 3 training rows (33%) would have a token across")
    assert (
        blank.hint == "end data.prompt_template with a colon or a newline, without a space after it"
    )
    assert "merged" not in check(model(None), cut, "data.prompt_template='{prompt} Answer:'")


def test_a_generation_prompt_that_would_merge_is_one_for_the_template(check: Check) -> None:
    blank = PLAIN.replace("assistant:{%", "assistant: {%")
    ended = blank.replace("{{ m.content }}\n", "{{ m.content }}<|close|>\n")
    boats = chat("What lies there?", "boats, two of them.")
    warned = check(model(ended), [*CHATS, boats, boats])["merged"]
    assert warned.message == (
        "2 of 5 training rows (40%) would have a token across the boundary of prompt and answer; "
        "the text is split there, as in generation"
    )
    assert warned.hint.startswith("--set data.chat_template=FILE with your own template whose")


def test_special_tokens_in_the_text_of_rows_are_counted(check: Check) -> None:
    written = chat("What is <|close|>?", "It closes a turn.")
    warned = check(model(), [*CHATS, written])["special_tokens"]
    assert (warned.severity, warned.count) == ("warning", 1)
    assert warned.message == (
        "1 of 4 training rows (25%) contains special tokens as text (<|close|>), which the model "
        "reads as control tokens"
    )
    assert [row.line for row in warned.rows] == [4]
    assert warned.hint == "remove these tokens from the text"
    thought = chat("Where?", "Here.")
    thought["messages"][-1]["reasoning_content"] = "Near <|close|>."
    both = check(model(), [*CHATS, written, thought])["special_tokens"]
    assert both.message.startswith("2 of 5 training rows (40%) contain special tokens")
    marks = [f"<|m{number}|>" for number in range(6)]
    many = byte_level([*MARKS, *marks], eos="<|close|>", template=SOUND)
    many.add_special_tokens({"extra_special_tokens": marks})
    named = check(many, [chat("".join(marks), "All of them.")])["special_tokens"]
    assert "(<|m0|>, <|m1|>, <|m2|>, <|m3|>, <|m4|> and 1 more)" in named.message
    prompt = check(model(None), [*PAIRS, {"prompt": "Is <|close|> one?", "completion": " yes"}])
    assert prompt["special_tokens"].count == 1
    assert prompt["special_tokens"].hint.endswith(", or give the rows as messages")


def test_a_message_on_a_sample_says_so(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_mask, "SAMPLED_ROWS", 3)
    monkeypatch.setattr(loss_mask, "LONGEST_ROWS", 1)
    warned = check(model(PLAIN, eos="<|end|>"), WITH_SYSTEM)["no_stop"]
    assert warned.message.startswith("3 of 3 sampled training rows (100%) have")
