"""Tokens with their places, and each token's text in whole characters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerFast

from tests.engine.small_tokenizers import byte_level, sentence_piece
from tui_loop.engine.encoding import Encoder

pytestmark = pytest.mark.train

SPECIAL = ["<s>", "</s>"]
Make = Callable[..., PreTrainedTokenizerFast]
TEXTS = [
    "The red kite flies over the harbour.",
    "  two blanks, a tab\tand a line\n\nwith  gaps ",
    "海鸥在叫 Привет",
    "<s>A whole row</s>",
]
EMOJI = "gulls 🐦‍⬛ and 👩‍🚀 fly"


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
@pytest.mark.parametrize("text", TEXTS)
def test_the_texts_of_tokens_join_to_the_whole_text(make: Make, text: str) -> None:
    tokenizer = make(SPECIAL, bos="<s>", eos="</s>")
    encoder = Encoder(tokenizer)
    ids = encoder.ids(text)
    texts = encoder.texts(ids)
    assert len(texts) == len(ids)
    assert "".join(texts) == tokenizer.decode(ids)
    for start in range(len(ids)):
        rest = encoder.texts(ids, start)
        assert len(rest) == len(ids) - start
        assert "�" not in "".join(rest[1:]) or make is byte_level


@pytest.mark.parametrize("text", [*TEXTS, EMOJI])
def test_a_character_of_several_tokens_is_whole(text: str) -> None:
    encoder = Encoder(byte_level(SPECIAL))
    ids = encoder.ids(text)
    texts = encoder.texts(ids)
    assert "".join(texts) == text
    assert not any("�" in each for each in texts)


def test_blanks_before_words_are_shown_for_a_tokenizer_that_marks_them() -> None:
    encoder = Encoder(sentence_piece(SPECIAL))
    ids = encoder.ids("How many boats are there?")
    assert encoder.texts(ids, 1) == encoder.texts(ids)[1:]
    words = "".join(encoder.texts(ids, 1)).split()
    assert words[-3:] == ["boats", "are", "there?"]


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
@pytest.mark.parametrize("text", TEXTS)
def test_no_token_reaches_across_a_border(make: Make, text: str) -> None:
    tokenizer = make(SPECIAL, bos="<s>", eos="</s>")
    encoder = Encoder(tokenizer)
    for border in range(1, len(text)):
        encoded = encoder.split(text, [border])
        before = encoded.before(border)
        assert encoded.ids[:before] == encoder.ids(text[:border])
        assert len(encoded.ids) == len(encoded.ends)
        assert encoded.merged == (encoded.ids != encoder.ids(text))


@pytest.mark.parametrize(
    ("adds", "lead"), [("", []), ("bos", ["<s>"]), ("eos", []), ("both", ["<s>"])]
)
def test_the_lead_is_what_the_tokenizer_puts_before_a_text(adds: str, lead: list[str]) -> None:
    tokenizer = byte_level(SPECIAL, bos="<s>", eos="</s>", adds=adds)
    encoder = Encoder(tokenizer)
    assert tokenizer.convert_ids_to_tokens(encoder.lead) == lead
    assert encoder.with_lead("<s>boats") == encoder.ids("<s>boats")
