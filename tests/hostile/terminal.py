"""What came out of a terminal program, byte by byte: every sequence by its kind, and the text."""

from __future__ import annotations

import re
import unicodedata

from tests.tui.test_hostile_text import BIDI_SIGNS

_CSI = re.compile(r"\x1b\[([<=>?]?)([0-9:;]*)([ -/]*)([@-~])")
_STRING = re.compile(r"\x1b([\]PX^_])([^\x1b\x07\x80-\x9f]*)(\x07|\x1b\\)")
_SHORT = re.compile(r"\x1b([ -/]*)([0-Z\\`-~])")
_LINE_ENDS = "\r\n\t"


class Stream:
    """A program's output, taken apart; strict: what is no whole sequence is a fault.

    `kinds` names every kind of sequence: `CSI m`, `CSI ?1049h`, `OSC 52`, `ESC c`. `text` is
    what is left, and `faults` what no terminal program should have sent.
    """

    def __init__(self, output: bytes) -> None:
        self.kinds: set[str] = set()
        self.faults: list[str] = []
        self.payloads: list[str] = []
        self.text = self._taken_apart(output.decode("utf-8", "backslashreplace"))
        if not _is_utf8(output):
            self.faults.append("bytes that are not UTF-8")

    def _taken_apart(self, output: str) -> str:
        place, parts = 0, []
        while place < len(output):
            if output[place] == "\x1b":
                place = self._sequence(output, place)
                continue
            end = output.find("\x1b", place)
            end = len(output) if end < 0 else end
            parts.append(output[place:end])
            place = end
        text = "".join(parts)
        self.faults += sorted({f"U+{ord(sign):04X}" for sign in text if _is_obeyed(sign)})
        return text

    def _sequence(self, output: str, place: int) -> int:
        if found := _CSI.match(output, place):
            private, numbers, between, final = found.groups()
            is_mode = final in "hl" or private
            self.kinds.add(f"CSI {private}{numbers if is_mode else ''}{between}{final}")
        elif found := _STRING.match(output, place):
            opening, payload, _ = found.groups()
            self.payloads.append(payload)
            number = payload.partition(";")[0]
            self.kinds.add(f"OSC {number}" if opening == "]" else f"ESC {opening} string")
        elif found := _SHORT.match(output, place):
            self.kinds.add(f"ESC {found[1]}{found[2]}")
        else:
            self.faults.append(f"no whole sequence: {output[place : place + 20]!r}")
            return place + 1
        return found.end()


def _is_utf8(output: bytes) -> bool:
    try:
        output.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_obeyed(sign: str) -> bool:
    if sign in _LINE_ENDS:
        return False
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or ord(sign) in BIDI_SIGNS
