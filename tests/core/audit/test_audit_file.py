"""`audit.json`: parts of different writers, other versions, damaged files."""

from __future__ import annotations

import json

import pytest

from tests.core.audit.rows import sound
from tui_loop.core.audit.data_audit import audit_data
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder


@pytest.fixture
def folder(loop: LoopFolder) -> IterationFolder:
    folder = loop.iteration(1)
    folder.path.mkdir()
    return folder


def test_an_iteration_without_the_file_has_no_audit(folder: IterationFolder) -> None:
    assert folder.read_audit() is None


def test_a_part_is_read_as_it_was_written(folder: IterationFolder) -> None:
    data = audit_data(sound(10), sound(4, "e"))
    folder.write_audit_part("data", data)
    audit = folder.read_audit()
    assert audit is not None
    assert (audit.version, audit.data) == (1, data)


def test_a_part_of_another_version_is_kept_and_not_read(folder: IterationFolder) -> None:
    folder.audit.write_text('{"version": 7, "steps": {"clipped": 0.5}}')
    folder.write_audit_part("data", audit_data(sound(10), []))
    written = json.loads(folder.audit.read_bytes())
    assert (written["version"], written["steps"]) == (7, {"clipped": 0.5})
    audit = folder.read_audit()
    assert audit is not None
    assert audit.data is not None


def test_a_part_can_be_taken_back(folder: IterationFolder) -> None:
    folder.write_audit_part("data", audit_data(sound(10), []))
    folder.write_audit_part("data", None)
    audit = folder.read_audit()
    assert audit is not None
    assert audit.data is None


def test_a_damaged_file_is_named_and_the_next_write_replaces_it(folder: IterationFolder) -> None:
    folder.audit.write_text('{"version": 1, "data": {"digest"')
    with pytest.raises(BadInput, match=r"audit\.json"):
        folder.read_audit()
    folder.write_audit_part("data", audit_data(sound(10), []))
    assert folder.read_audit() is not None


def test_a_link_is_not_followed(folder: IterationFolder) -> None:
    folder.audit.symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="a link"):
        folder.read_audit()
