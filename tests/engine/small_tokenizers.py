"""Small tokenizers of several kinds, for tests that need more than the shipped tiny base."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

WORDS = [
    "The red kite flies over the harbour at noon.",
    "How many boats are there? There are seven boats, and two of them leak.",
    "Ask again later; the tide table for Tuesday is missing.",
    "value: 12, name: gulls, list: [1, 2, 3]",
    "Les mouettes crient là. 海鸥在叫。 Привет, море!",
]


def byte_level(
    special: Sequence[str],
    *,
    eos: str | None = None,
    bos: str | None = None,
    pad: str | None = None,
    template: str | None = None,
    adds: str = "",
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer; `adds` says what it adds to a text: "", "bos", "eos", "both"."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(WORDS, trainer)
    return _wrapped(inner, eos=eos, bos=bos, pad=pad, template=template, adds=adds)


def sentence_piece(
    special: Sequence[str],
    *,
    eos: str | None = None,
    bos: str | None = None,
    pad: str | None = None,
    template: str | None = None,
    adds: str = "",
) -> PreTrainedTokenizerFast:
    """A unigram tokenizer that writes blanks as a mark before a word, as SentencePiece does."""
    inner = Tokenizer(models.Unigram())
    inner.normalizer = normalizers.Sequence([normalizers.NFC()])
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    characters = sorted({character for text in WORDS for character in text})
    alphabet = [*characters, *map(chr, range(33, 127)), "\n"]
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        special_tokens=["<unk>", *special],
        unk_token="<unk>",
        initial_alphabet=alphabet,
        show_progress=False,
    )
    inner.train_from_iterator(WORDS, trainer)
    return _wrapped(inner, eos=eos, bos=bos, pad=pad, template=template, adds=adds)


def _wrapped(
    inner: Tokenizer,
    *,
    eos: str | None,
    bos: str | None,
    pad: str | None,
    template: str | None,
    adds: str,
) -> PreTrainedTokenizerFast:
    if adds:
        first = f"{bos} " if adds in ("bos", "both") and bos else ""
        last = f" {eos}" if adds in ("eos", "both") and eos else ""
        known = [(each, inner.token_to_id(each)) for each in (bos, eos) if each]
        inner.post_processor = processors.TemplateProcessing(
            single=f"{first}$A{last}", pair=None, special_tokens=known
        )
    names = {"eos_token": eos, "bos_token": bos, "pad_token": pad}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        clean_up_tokenization_spaces=False,
        **{name: token for name, token in names.items() if token},
    )
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer
