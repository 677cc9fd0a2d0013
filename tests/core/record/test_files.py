"""A file is the old one or the new one, and never half of either."""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path

import pytest

from tui_loop.core.errors import BadInput
from tui_loop.core.record import files
from tui_loop.core.record.files import read_small, sha256_of, short_hash, write_atomically


def test_a_written_file_has_the_text_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    write_atomically(path, "old")
    write_atomically(path, "grün\n")
    assert path.read_bytes() == "grün\n".encode()
    assert os.listdir(tmp_path) == ["notes.md"]


def test_a_written_file_has_the_rights_that_a_new_file_has(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "atomic", b"x")
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_atomically(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomically(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["config.toml"]


def test_a_failure_at_the_last_step_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.mkdir()  # what the rename cannot replace
    (path / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        write_atomically(path, "new")
    assert os.listdir(tmp_path) == ["config.toml"]


def test_text_with_lone_surrogates_is_written_as_utf_8(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "x\ud800y")
    assert (tmp_path / "a").read_bytes() == b"x?y"


def test_a_file_too_large_for_a_record_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL_FILE_BYTES", 10)
    path = tmp_path / "summary.json"
    path.write_bytes(b"x" * 10)
    assert read_small(path) == b"x" * 10
    path.write_bytes(b"x" * 11)
    with pytest.raises(BadInput, match=r"summary\.json: 11 bytes"):
        read_small(path)


def test_hashes_are_those_of_sha_256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == hashlib.sha256(b"abc").hexdigest()
    assert short_hash("abc") == "ba7816bf8f01"
    assert short_hash("abc", 64) == hashlib.sha256(b"abc").hexdigest()
    assert short_hash("\ud800") != short_hash("\ud801")
