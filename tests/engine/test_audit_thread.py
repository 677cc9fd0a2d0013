"""A run records its data audit, copies that of the same rows, and never fails because of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.engine.conftest import TinyLoop
from tui_loop.core.audit.data_audit import AuditRows
from tui_loop.core.audit.structs import DataAudit
from tui_loop.core.record.reader import read_run

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]


def data_of(loop: TinyLoop, number: int) -> DataAudit:
    audit = loop.loop.iteration(number).read_audit()
    assert audit is not None
    assert audit.data is not None
    return audit.data


@pytest.mark.slow
def test_a_run_records_its_audit_and_the_next_one_copies_it(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop(training={"max_steps": 1, "eval_steps": 0})
    loop.run_base()
    first = data_of(loop, 0)
    assert first.rows.train is not None
    assert first.rows.eval is not None
    assert (first.rows.train.count, first.rows.eval.count) == (32, 12)
    assert first.labels is not None

    computed = []
    compute = AuditRows.compute

    def counted(rows: AuditRows) -> DataAudit:
        computed.append(rows.digest)
        return compute(rows)

    monkeypatch.setattr(AuditRows, "compute", counted)
    loop.run("learning_rate=4e-3")
    assert data_of(loop, 1) == first
    assert computed == []
    loop.run("max_train_rows=20", parent=1)
    assert len(computed) == 1
    assert data_of(loop, 2).digest != first.digest


def test_an_error_in_the_audit_is_logged_and_the_run_finishes(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop(training={"max_steps": 1, "eval_steps": 0})

    def fail(rows: AuditRows) -> DataAudit:
        raise ValueError("no such fact")

    monkeypatch.setattr(AuditRows, "compute", fail)
    summary = loop.run_base()
    folder = loop.loop.iteration(0)
    assert summary.state == "finished"
    audit = folder.read_audit()
    assert audit is not None
    assert audit.data is None
    texts = [line.text for line in read_run(folder).lines]
    assert "the data audit failed and is not recorded: ValueError: no such fact" in texts


def test_the_audit_of_changed_data_replaces_an_older_one(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"max_steps": 1, "eval_steps": 0})
    number = loop.plan("learning_rate=4e-3")
    folder = loop.loop.iteration(number)
    folder.audit.write_text(json.dumps({"version": 1, "data": None, "later": 1}))
    loop.run_number(number)
    assert data_of(loop, number).rows.train is not None
    assert json.loads(folder.audit.read_bytes())["later"] == 1


def test_a_run_records_where_the_loss_is_and_how_far_its_weights_moved(
    tiny_loop: MakeLoop,
) -> None:
    loop = tiny_loop(training={"max_steps": 1, "eval_steps": 0})
    loop.run_base()
    base, tuned = loop.loop.iteration(0), loop.run("learning_rate=1e-2")
    first = base.read_audit()
    assert first is not None
    assert first.weights is None
    audit = loop.loop.iteration(tuned.number).read_audit()
    assert audit is not None
    assert audit.losses is not None
    tokens = loop.loop.iteration(tuned.number).read_tokens().values()
    ends = [each.tokens[-1][1] for each in tokens]
    assert audit.losses.last == pytest.approx(sum(ends) / len(ends), abs=1e-5)
    assert audit.weights is not None
    assert audit.weights.trained < audit.weights.parameters
    assert all(0 < each.least <= each.median <= each.most for each in audit.weights.moved)
    assert audit.weights.moved
