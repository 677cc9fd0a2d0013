"""A user's consent to run foreign code: a model's, or a metric's `module:function`.

Consent is for the content of files, so that changed code needs consent again. It is stored in the
user's state folder and never in a loop: a stranger's loop must not bring its own consent.
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
"""Environment variable with the hashes that child processes may run.

It is needed where the state folder cannot be written.
"""

FILES_NAMED = 4
"""A summary names this many files and counts the others."""


class CodeFile(msgspec.Struct, frozen=True):
    """A file of foreign code; `name` is relative to its model's or project's folder."""

    name: str
    path: str
    sha256: str


class ForeignCode(msgspec.Struct, frozen=True):
    """The Python files that a config would run, and the config field that names them."""

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
    """Raised instead of running `code`, to which the user has not consented."""

    def __init__(self, code: Sequence[ForeignCode]) -> None:
        message = "; ".join(each.summary for each in code)
        super().__init__(
            message, "read the code, then add --allow-code (again after each change of the code)"
        )
        self.code = tuple(code)


class _Line(msgspec.Struct, frozen=True):
    """One line of the consent file."""

    sha256: str
    name: str
    owner: str
    t: float


def consent_file() -> Path:
    """Returns the path of the consent file, which may not exist yet."""
    return user_state_folder() / "allowed-code.jsonl"


def code_file(path: Path, name: str) -> CodeFile:
    """Returns a file of code with its hash; raises BadInput where it cannot be read."""
    try:
        return CodeFile(name, str(path), sha256_of(path))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check its permissions") from error


def require_consent(code: Iterable[ForeignCode], *, allow: bool = False) -> None:
    """Raises NeedsConsent unless every file of `code` is allowed; `allow` allows them first."""
    with_files = [each for each in dict.fromkeys(code) if each.files]
    if not with_files:
        return
    if allow:
        allow_code(with_files)
        return
    allowed = _allowed_hashes()
    not_allowed = [
        each for each in with_files if any(file.sha256 not in allowed for file in each.files)
    ]
    if not_allowed:
        raise NeedsConsent(not_allowed)


def allow_code(code: Iterable[ForeignCode]) -> None:
    """Stores consent to these files, for this user and for the child processes of this one."""
    allowed = _allowed_hashes()
    files = {file.sha256: (each.owner, file) for each in code for file in each.files}
    lines = [
        _Line(digest, file.name, owner, round(time.time(), 3))
        for digest, (owner, file) in files.items()
        if digest not in allowed
    ]
    if not lines:
        return
    inherited = os.environ.get(INHERITED, "").split()
    os.environ[INHERITED] = " ".join([*inherited, *(each.sha256 for each in lines)])
    path = consent_file()
    with suppress(OSError):  # the environment variable still has it for this process's children
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, codec.to_json_lines(lines))
        finally:
            os.close(descriptor)


def count_allowed() -> int:
    """Returns how many files of foreign code this user has allowed."""
    return len(_allowed_hashes())


def _allowed_hashes() -> set[str]:
    """Returns the allowed hashes; ignores lines that cannot be read."""
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
