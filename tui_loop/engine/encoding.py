"""From text to token ids with known places, and back to the text of each token."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec
from transformers import PreTrainedTokenizerBase

_ANCHORS = ("\n", ":", "a")
"""Texts before a continuation, for tokenizers that put a blank at the start of a text."""

_CONTEXT_TOKENS = 8
"""Tokens before a continuation that are decoded with it."""

_CHARACTER_TOKENS = 8
"""A character has at most 4 bytes, and a byte at most one token; twice that is plenty."""

_UNFINISHED = "\ufffd"


class Encoded(msgspec.Struct, frozen=True):
    """Token ids of a text, and the character where the text of each token ends.

    `merged`: the tokenizer itself would have joined tokens across a border.
    """

    ids: list[int]
    ends: list[int]
    merged: bool = False

    def before(self, place: int) -> int:
        """Returns the number of tokens that end at or before the character `place`."""
        return bisect_right(self.ends, place)

    def reaching(self, place: int) -> int:
        """Returns the number of tokens up to the one that reaches the character `place`."""
        return bisect_left(self.ends, place) + 1


class Encoder:
    """Encodes text without the special tokens that a tokenizer adds.

    `lead` are those that it puts before a text, such as BOS. One that it appends, such as EOS, is
    never part of a prompt.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self.lead = self._added_before()

    def ids(self, text: str) -> list[int]:
        """Returns the ids of `text` alone."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def with_lead(self, text: str) -> list[int]:
        """Returns the ids of `text` after `lead`, which is not doubled."""
        ids = self.ids(text)
        return ids if ids[: len(self.lead)] == self.lead else [*self.lead, *ids]

    def split(self, text: str, borders: Sequence[int], *, with_lead: bool = False) -> Encoded:
        """Encodes `text` so that no token reaches across a character in `borders`.

        The tokens before the last border are those of the text before it alone.
        """
        whole = self._encoded(text)
        ends = whole.ends
        wanted = sorted({place for place in borders if 0 < place < len(text)})
        crossed = [place for place in wanted if ends is None or _is_crossed(place, ends)]
        if wanted and wanted[-1] not in crossed and ends is not None:
            last = wanted[-1]
            if whole.ids[: bisect_right(ends, last)] != self.ids(text[:last]):
                crossed.append(last)
        result = Encoded(whole.ids, ends or []) if not crossed else self._pieces(text, crossed)
        lead = self.lead if with_lead and result.ids[: len(self.lead)] != self.lead else []
        return Encoded([*lead, *result.ids], [0] * len(lead) + result.ends, result.ids != whole.ids)

    def texts(self, ids: Sequence[int], start: int = 0) -> list[str]:
        """Returns the text of each token from `start` on, in whole characters with their blanks.

        A character of several tokens is the text of the first; the others have none.
        """
        singles = [self._decode([each]) for each in ids[start:]]
        together = self._decode(ids[start:])
        if start == 0 and "".join(singles) == together:  # the common case, and a fast one
            return singles
        context = max(0, start - _CONTEXT_TOKENS)
        done, before = start, self._decode(ids[context:start])
        texts: list[str] = []
        for end in range(start + 1, len(ids) + 1):
            text = self._decode(ids[context:end])
            is_last = end == len(ids) or end - done >= _CHARACTER_TOKENS
            if text.endswith(_UNFINISHED) and not is_last:
                continue
            texts += [text[len(before) :], *[""] * (end - done - 1)]
            done, context = end, max(0, end - _CONTEXT_TOKENS)
            before = self._decode(ids[context:end])
        return texts

    def _pieces(self, text: str, borders: Sequence[int]) -> Encoded:
        """Encodes the parts of `text` between `borders` one by one."""
        ids: list[int] = []
        ends: list[int] = []
        for start, end in zip([0, *borders], [*borders, len(text)], strict=True):
            piece = self._continuation(ids, text[start:end])
            ids += piece.ids
            ends += [start + each for each in piece.ends]
        return Encoded(ids, ends)

    def _continuation(self, before: Sequence[int], text: str) -> Encoded:
        """Encodes `text` as the continuation of the tokens `before`."""
        plain = self._encoded(text)
        known = Encoded(plain.ids, plain.ends or [len(text)] * len(plain.ids))
        context = list(before[-_CONTEXT_TOKENS:])
        if not context:
            return known
        expected = self._decode(context) + text
        if self._decode([*context, *plain.ids]) == expected:
            return known
        for anchor in _ANCHORS:
            anchored, head = self._encoded(anchor + text), self.ids(anchor)
            ids = anchored.ids[len(head) :]
            is_after = anchored.ids[: len(head)] == head
            if is_after and self._decode([*context, *ids]) == expected:
                ends = anchored.ends or [len(anchor + text)] * len(anchored.ids)
                return Encoded(ids, [each - len(anchor) for each in ends[len(head) :]])
        return known

    def _encoded(self, text: str) -> _Offsets:
        """Returns ids and ends; a tokenizer in pure Python knows no ends."""
        if not text:
            return _Offsets([], [])
        if not self._tokenizer.is_fast:
            return _Offsets(self.ids(text), None)
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ends: list[int] = []
        for _, end in encoded["offset_mapping"]:
            ends.append(max(end, ends[-1]) if ends else end)
        return _Offsets(list(encoded["input_ids"]), ends)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def _added_before(self) -> list[int]:
        text = "a"
        plain, whole = self.ids(text), list(self._tokenizer(text)["input_ids"])
        for place in range(len(whole) - len(plain) + 1):
            if whole[place : place + len(plain)] == plain:
                return whole[:place]
        return []


class _Offsets(msgspec.Struct, frozen=True):
    ids: list[int]
    ends: list[int] | None


def _is_crossed(place: int, ends: Sequence[int]) -> bool:
    """Whether a token reaches across the character `place`.

    Offsets leave out the blank in front of a word, so a token begins where the one before it ends.
    """
    at = bisect_right(ends, place)
    return at < len(ends) and (ends[at - 1] if at else 0) < place
