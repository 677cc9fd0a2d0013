"""The fingerprint of an evaluation: short hashes that can be compared part by part."""

from __future__ import annotations

from collections.abc import Sequence

from tui_loop.core.config.schema import EOS, Config
from tui_loop.core.data.rows import Row, all_answers
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.files import short_hash
from tui_loop.core.record.structs import Example, Fingerprint


def fingerprint_of(
    config: Config, rows: Sequence[Row | Example], labels: Sequence[str], weights: str = ""
) -> Fingerprint:
    """Returns the fingerprint of an evaluation of `rows` under `config`.

    `labels`: the label set in use. `weights`: the hash of the base's weights, "" where unknown.
    """
    evaluation, data = config.evaluation, config.data
    counts_completions = data.train_on == "assistant" and data.shape != "messages"
    return Fingerprint(
        rows=_hash([row.id for row in rows]),
        references=_hash([all_answers(row.reference, row.other_references) for row in rows]),
        template=_hash(
            [
                config.data.prompt_template,
                config.data.chat_template,
                config.model.id,
                config.model.revision,
            ]
        ),
        lengths=_hash([evaluation.max_length, evaluation.max_new_tokens]),
        generation=_hash(
            [evaluation.do_sample]
            + ([evaluation.temperature, evaluation.top_p] if evaluation.do_sample else [])
            + (["stop", *evaluation.stop] if evaluation.stop else [])
            + ([EOS, config.other[EOS]] if EOS in config.other else [])
        ),
        metric=_hash([evaluation.metric, list(labels), evaluation.pattern, evaluation.pass_score]),
        weights=weights,
        loss="" if counts_completions else _hash([data.train_on]),
    )


def _hash(values: Sequence[object]) -> str:
    return short_hash(to_json(values).decode())
