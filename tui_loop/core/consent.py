"""Consent to run foreign code: that of a model, or of a metric `module:function`.

Consent is given for the content of files, so that it ends when the code changes. It is remembered
in the user's state folder, never in a loop: a stranger's loop must not bring its own consent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.files import sha256_of, user_state_folder
from tui_loop.core.text.untrusted import one_line

INHERITED = "TUI_LOOP_ALLOWED_CODE"
"""Hashes that this process allows its children, where the state folder cannot be written."""

FILES_NAMED = 4


class CodeFile(msgspec.Struct, frozen=True):
    """A file of foreign code; `name` is relative to what it belongs to."""

    name: str
    path: str
    sha256: str


class ForeignCode(msgspec.Struct, frozen=True):
    """The Python files that a config would have run, and the field that names them."""

    field: str
    owner: str
    files: tuple[CodeFile, ...]

    @property
    def summary(self) -> str:
        """`model.id: ./mine brings its own Python code: modeling.py and 2 more files`."""
        names = ", ".join(one_line(each.name, 60) for each in self.files[:FILES_NAMED])
        more = len(self.files) - FILES_NAMED
        rest = f" and {more} more file{'s' if more > 1 else ''}" if more > 0 else ""
        return f"{self.field}: {one_line(self.owner, 80)} brings its own Python code: {names}{rest}"


class NeedsConsent(BadInput):
    """Code was not run because nobody allowed it; `code` is what a user has to decide on."""

    def __init__(self, code: Sequence[ForeignCode]) -> None:
        message = "; ".join(each.summary for each in code)
        super().__init__(message, "read it, then add --allow-code; changed code asks again")
        self.code = tuple(code)


class _Line(msgspec.Struct, frozen=True):
    """One line of the consent file."""

    sha256: str
    name: str
    owner: str
    t: float


def consent_file() -> Path:
    """Where consent is remembered, there or not."""
    return user_state_folder() / "allowed-code.jsonl"


def code_file(path: Path, name: str) -> CodeFile:
    """A file of code with its hash; raises BadInput where it cannot be read."""
    try:
        return CodeFile(name, str(path), sha256_of(path))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check its permissions") from error


def require_consent(code: Iterable[ForeignCode], *, allow: bool = False) -> None:
    """Raises NeedsConsent unless every file of `code` was allowed; `allow` allows them now."""
    asked = [each for each in dict.fromkeys(code) if each.files]
    if not asked:
        return
    if allow:
        allow_code(asked)
        return
    known = _allowed()
    if lacking := [each for each in asked if any(f.sha256 not in known for f in each.files)]:
        raise NeedsConsent(lacking)


def allow_code(code: Iterable[ForeignCode]) -> None:
    """Remembers consent to these files, for this user and for the processes started from here."""
    known = _allowed()
    fresh = {file.sha256: (each.owner, file) for each in code for file in each.files}
    lines = [
        _Line(digest, file.name, owner, round(time.time(), 3))
        for digest, (owner, file) in fresh.items()
        if digest not in known
    ]
    if not lines:
        return
    inherited = os.environ.get(INHERITED, "").split()
    os.environ[INHERITED] = " ".join([*inherited, *(each.sha256 for each in lines)])
    path = consent_file()
    with suppress(OSError):  # then it lasts as long as this process and its children
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, codec.to_json_lines(lines))
        finally:
            os.close(descriptor)


def count_allowed() -> int:
    """How many files of foreign code this user has allowed so far."""
    return len(_allowed())


def _allowed() -> set[str]:
    """The hashes that are allowed; a line that cannot be read allows nothing."""
    allowed = set(os.environ.get(INHERITED, "").split())
    try:
        lines = consent_file().read_bytes().splitlines()
    except OSError:
        return allowed
    decoder = msgspec.json.Decoder(_Line)
    for line in lines:
        with suppress(msgspec.DecodeError):
            allowed.add(decoder.decode(line).sha256)
    return allowed
