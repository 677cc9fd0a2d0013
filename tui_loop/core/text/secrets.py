"""Finds tokens, keys and passwords by environment variable and by shape, and redacts them.

What a library prints, an exception says or a user types may carry one. Records, crash reports
and error lines get the text with `***` in its place.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

MASK = "***"

_NAMES = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "APIKEY", "CREDENTIAL")
_HARMLESS = ("_PATH", "_FILE", "_DIR")
_PART_BYTES = 8 * 1024 * 1024
_LEAST = 8
"""Shorter values are switches or numbers rather than secrets."""

_WORD = r"(?<![A-Za-z0-9])"
_SHAPES = re.compile(
    "|".join(
        (
            _WORD + r"hf_[A-Za-z0-9]{16,}",
            _WORD + r"(?:api_org|wandb_v\d)_[A-Za-z0-9_]{8,}",
            _WORD + r"sk-[A-Za-z0-9][A-Za-z0-9_-]{14,}",
            _WORD + r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}",
            _WORD + r"gh[opusr]_[A-Za-z0-9]{16,}",
            _WORD + r"github_pat_[A-Za-z0-9_]{16,}",
            _WORD + r"glpat-[A-Za-z0-9_-]{16,}",
            _WORD + r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
            _WORD + r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])",
            _WORD + r"AIza[A-Za-z0-9_-]{30,}",
            _WORD + r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        )
    )
)
_URL_PASSWORD = re.compile(r"(://[^\s/:@\"'<>]*:)[^\s/@\"'<>]+(?=@)")
_NAMED = re.compile(
    r"((?:(?:access|auth|api|hf|hub|bearer)[_-]?token|api[_-]?key|secret[_-]?access[_-]?key"
    r"|password|passwd|client[_-]?secret|authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic))"
    r"[\"']?(?:\s*[=:]\s*|\s+)[\"']?)(?=[^\s\"',;)]{0,100}[0-9])([^\s\"',;)]{8,})",
    re.IGNORECASE,
)
"""`api_key=...`, `--password ...`, `"hf_token": "..."`: values with a digit, so that prose
("the password nobody knows") stays."""


def redacted(text: str) -> str:
    """Returns `text` with secret environment values and token-shaped strings redacted."""
    for value in _from_environment():
        text = text.replace(value, MASK)
    text = _SHAPES.sub(MASK, text)
    text = _URL_PASSWORD.sub(rf"\1{MASK}", text)
    return _NAMED.sub(rf"\1{MASK}", text)


def without_secrets(value: Any) -> Any:
    """Returns a value of a record with every text in it redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(item) for item in value]
    return value


def fields_with_secrets(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns `group.field` of every config value that looks like a token, key or password."""
    return [
        f"{group}.{field}"
        for group, table in tables.items()
        if isinstance(table, Mapping)
        for field, value in table.items()
        if _has_secret(value)
    ]


def _has_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_secret, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_secret, value))
    return isinstance(value, str) and len(value) >= _LEAST and redacted(value) != value


def redact_file(path: Path) -> None:
    """Redacts a text file that has no writer any more; ignores one that cannot be changed."""
    try:
        with path.open("rb") as file:
            if all(_masked_bytes(part) == part for part in _parts(file)):
                return
            file.seek(0)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(descriptor, "wb") as clean:
                    clean.writelines(map(_masked_bytes, _parts(file)))
                os.chmod(name, os.stat(path).st_mode & 0o777)
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
    except OSError:
        return


def _parts(file: BinaryIO) -> Iterator[bytes]:
    """Yields the file in chunks of bounded size, ending with a line where possible."""
    while part := file.read(_PART_BYTES):
        yield part + file.readline(_PART_BYTES)


def _masked_bytes(data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    return redacted(text).encode("utf-8", "surrogateescape")


def _from_environment() -> list[str]:
    """Returns the values of variables with names of secrets, the longest first."""
    found = [
        value
        for name, value in os.environ.items()
        if len(value) >= _LEAST
        and any(word in name.upper() for word in _NAMES)
        and not name.upper().endswith(_HARMLESS)
    ]
    return sorted(found, key=len, reverse=True)
