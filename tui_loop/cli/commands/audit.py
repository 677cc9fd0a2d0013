"""`tui-loop audit LOOP/N`: shows the recorded facts about the rows, the loss and the weights."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from tui_loop.cli.arguments import add_json, iteration_of_args
from tui_loop.cli.output import Output
from tui_loop.core.audit.structs import (
    Affix,
    Audit,
    Balance,
    Both,
    Count,
    DataAudit,
    Difference,
    Duplicates,
    Echo,
    Exchange,
    LabelPair,
    Labels,
    LabelSet,
    Order,
    Places,
    Prompts,
    References,
    Rows,
    Shared,
    Sorting,
    Texts,
    Vocabulary,
    WeightsAudit,
)
from tui_loop.core.text.figures import counted, of_all, share
from tui_loop.core.text.untrusted import one_line

T = TypeVar("T")

HELP = "show recorded statistics of the data, the loss by token position, and the trained weights"

SHOWN = 10
"""Labels, pairs of labels and differences to print; `--json` has all that are recorded."""

NAME_WIDTH = 40

SIDES = ("training", "evaluation")

PAIR_WORDS = {
    "case": "differ only in case",
    "spaces": "differ only in spaces",
    "punctuation": "differ only in punctuation",
    "typo": "are a typo apart",
    "abbreviation": "may be a name and its short form",
    "synonym": "are synonyms",
    "prompts": "have prompts that use the same words",
}

SORTED_Z, SIMILAR_Z = -4, 4
"""Standard scores beyond which the order of rows is no random order."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    audit = folder.read_audit() or Audit()
    if args.json:
        out.record(msgspec.to_builtins(audit))
    elif audit == Audit():
        out.line(f"{folder} has no recorded audit. Each new run records one.")
    else:
        if audit.data is None:
            out.line(f"{folder}: no audit of the data was recorded")
        else:
            out.line(f"{folder}: {' and '.join(_rows(audit.data.rows))}")
            _print(audit.data, out)
        sections = ("loss by token", _places(audit.losses)), ("weights", _weights(audit.weights))
        _print_sections(sections, out)
    return 0


def _print(data: DataAudit, out: Output) -> None:
    sections = (
        ("references", _references(data.references)),
        ("prompts", _prompts(data.prompts)),
        ("reference inside the prompt", _echoes(data.echo)),
        ("words", _words(data.vocabulary)),
        ("words of references", _words(data.reference_vocabulary)),
        ("duplicates", _duplicates(data.duplicates, data.shared)),
        ("order of the training rows", _order(data.order)),
        ("swapped columns", _exchange(data.exchange)),
    )
    if data.labels is not None:
        _print_sections([("labels", _labels(data.labels))], out)
        _print_counts(data.labels, out)
    _print_sections(sections, out)


def _print_sections(sections: Iterable[tuple[str, Iterable[str]]], out: Output) -> None:
    for heading, sentences in sections:
        lines = list(sentences)
        if lines:
            out.line()
            out.line(heading)
        for line in lines:
            out.paragraph(line, "  ")


def _places(places: Places | None) -> Iterator[str]:
    if places is None:
        return
    yield f"loss of the first token of an answer: {places.first:.3f} nats"
    if places.between is not None:
        yield f"mean loss of the tokens in between: {places.between:.3f} nats"
    yield f"loss of the last token, which ends the answer: {places.last:.3f} nats"


def _weights(weights: WeightsAudit | None) -> Iterator[str]:
    if weights is None:
        return
    part = share(weights.trained, weights.parameters)
    yield f"{weights.trained:,} of {weights.parameters:,} parameters were trained ({part})"
    for each in weights.moved:
        yield (
            f"{each.name}: norm of the adapter's update relative to the weights: "
            f"median {_times(each.median)}, from {_times(each.least)} to {_times(each.most)} over "
            f"{counted(each.layers, 'layer')}"
        )


def _times(size: float) -> str:
    """Returns `23.4%`, from twice on `15.8 times`."""
    return f"{size:.3g} times" if size >= 2 else f"{100 * size:.3g}%"


def _rows(rows: Both[Rows]) -> Iterator[str]:
    for side, each in zip(SIDES, (rows.train, rows.eval), strict=True):
        if each is None:
            yield f"no {side} rows"
            continue
        text = counted(each.count, f"{side} row")
        if each.for_words < each.count:
            text += f" (words counted in {each.for_words:,} random rows)"
        yield text


def _print_counts(labels: Labels, out: Output) -> None:
    rows = [[each.label, f"{each.train:,}", f"{each.eval:,}"] for each in labels.counts[:SHOWN]]
    out.table(["label", *SIDES], rows, right=(1, 2))
    if len(labels.counts) > len(rows):
        out.line(f"only the {len(rows)} most frequent labels are shown; --json has up to 50")


def _labels(labels: Labels | None) -> Iterator[str]:
    if labels is None:
        return
    yield from _only(labels.only_eval, "evaluation", "training")
    yield from _only(labels.only_train, "training", "evaluation")
    for side, balance in _sides(labels.balance):
        yield _balance(side, balance)
    for pair in labels.pairs[:SHOWN]:
        yield _pair(pair)
    if len(labels.pairs) > SHOWN:
        yield f"--json lists {len(labels.pairs) - SHOWN} more pairs"


def _only(found: LabelSet, side: str, other: str) -> Iterator[str]:
    if found.labels:
        what = counted(found.labels, f"{side} label")
        verb = "is" if found.labels == 1 else "are"
        names = ", ".join(_name(name) for name in found.names)
        more = ", ..." if found.labels > len(found.names) else ""
        rows = _of(found.rows, f"{side} rows")
        yield f"{what}, in {rows}, {verb} missing from {other}: {names}{more}"


def _balance(side: str, balance: Balance) -> str:
    if balance.labels == 1:
        return f"{side}: a single label, {_name(balance.largest)}"
    return (
        f"{side}: {balance.labels:,} labels; the most frequent is {_name(balance.largest)} with "
        f"{_of(balance.rows, 'rows')}, {balance.ratio:.3g} times as many as the rarest, "
        f"{_name(balance.smallest)}"
    )


def _pair(pair: LabelPair) -> str:
    first, second = (
        f"{_name(each.label)} ({each.train:,} training, {each.eval:,} evaluation rows)"
        for each in (pair.first, pair.second)
    )
    chance = "" if pair.p_value is None else f" (test for a difference: p = {pair.p_value:.2g})"
    return f"{first} and {second} {PAIR_WORDS[pair.kind]}{chance}"


def _references(references: References | None) -> Iterator[str]:
    if references is None:
        return
    yield from _texts(references.texts, "references")
    for what, found in (
        ("empty", references.empty),
        ("only punctuation or symbols, no letter or digit", references.signs_only),
        ("at least ten times as long as the median training reference", references.long),
        ("a placeholder", references.template),
    ):
        for side, count in _sides(found):
            if count.count:
                yield f"{what}: {_of(count, f'{side} references')}{_ids(count)}"


def _prompts(prompts: Prompts | None) -> Iterator[str]:
    if prompts is None:
        return
    yield from _texts(prompts.texts, "prompts")
    for side, system in _sides(prompts.system):
        yield f"most frequent system prompt: {_name(system.text)}, in {_affix_rows(system, side)}"
    for what, found in (
        ("a system turn", prompts.with_system),
        ("several turns before the answer", prompts.with_history),
    ):
        if any(count.count for _, count in _sides(found)):
            rows = (_of(count, f"{side} rows") for side, count in _sides(found))
            yield f"{what}: {', '.join(rows)}"


def _texts(texts: Texts, what: str) -> Iterator[str]:
    lengths = [
        f"{each.characters.median:,} in {side} "
        f"(5th to 95th percentile: {each.characters.p05:,} to {each.characters.p95:,})"
        for side, each in _sides(texts.form)
    ]
    yield f"median length in characters: {', '.join(lengths)}"
    for difference in texts.differences[:SHOWN]:
        yield _difference(difference, what)
    if len(texts.differences) > SHOWN:
        yield f"--json lists {len(texts.differences) - SHOWN} more differences"
    if texts.form.eval is not None and not texts.differences:
        yield f"training and evaluation {what} have the same format"
    for side, form in _sides(texts.form):
        for place, affix in (("start", form.start), ("end", form.end)):
            if affix is not None:
                yield f"shared {place}: {_name(affix.text)}, in {_affix_rows(affix, side)}"


def _difference(difference: Difference, what: str) -> str:
    train, held = (share(each, 1) for each in (difference.train, difference.eval))
    return (
        f"{difference.trait} is {_name(difference.value)} in {train} of training {what} and in "
        f"{held} of evaluation {what}"
    )


def _affix_rows(affix: Affix, side: str) -> str:
    other = SIDES[1 - SIDES.index(side)]
    text = _of(affix.rows, f"{side} rows")
    if affix.elsewhere is None:
        return text
    return f"{text} and {_of(affix.elsewhere, f'{other} rows')}"


def _echoes(echo: Both[Echo] | None) -> Iterator[str]:
    if echo is None:
        return
    for side, each in _sides(echo):
        yield (
            f"{_of(each.found, f'{side} prompts')} contain their own reference"
            f"{_ids(each.found)}; expected by chance: {share(each.by_chance.share, 1)}"
        )


def _words(words: Vocabulary | None) -> Iterator[str]:
    if words is None:
        return
    unseen = words.unseen_words
    names = ", ".join(_name(word) for word in unseen.examples)
    yield (
        f"never seen in training: {_of(unseen, 'distinct evaluation words')}, which make up "
        f"{share(words.unseen_tokens.share, 1)} of all word occurrences{': ' * bool(names)}{names}"
    )
    text = f"divergence of evaluation word frequencies from training: {words.divergence:.3f} bits"
    if (chance := words.by_chance) is not None:
        text += (
            f"; expected by chance: {chance.mean:.3f} on average, {chance.largest:.3f} at most "
            f"({counted(chance.draws, 'random sample')} of {counted(chance.rows, 'training row')})"
        )
    yield text


def _duplicates(duplicates: Both[Duplicates], shared: Shared | None) -> Iterator[str]:
    for side, each in _sides(duplicates):
        yield (
            f"repeats of an earlier row: {_of(each.folded, f'{side} rows')}, "
            f"{each.exact.count:,} of them exact copies{_ids(each.folded)}"
        )
        if each.conflicting is not None and each.conflicting.count:
            yield (
                "prompt recurs with a different reference: "
                f"{_of(each.conflicting, f'{side} rows')}, which share "
                f"{counted(each.conflicts, 'prompt')}{_ids(each.conflicting)}"
            )
    if shared is not None:
        text = f"also in training: {_of(shared.folded, 'evaluation rows')}"
        if shared.same_reference is not None and shared.other_reference is not None:
            text += (
                f", {shared.same_reference.count:,} with the same reference and "
                f"{shared.other_reference.count:,} with a different one"
            )
        yield text + _ids(shared.folded)


def _order(order: Order | None) -> Iterator[str]:
    if order is None:
        return
    yield from _sorting(order.by_label, "label")
    yield from _sorting(order.by_length, "length")
    if (words := order.by_words) is not None:
        verdict = "more similar than" if words.z > SIMILAR_Z else "no more similar than"
        yield (
            f"adjacent rows are {verdict} random rows: word similarity {words.adjacent:.2f} "
            f"against {words.random:.2f} (z = {words.z:.1f})"
        )


def _sorting(sorting: Sorting | None, what: str) -> Iterator[str]:
    if sorting is not None:
        verdict = "sorted or grouped" if sorting.z < SORTED_Z else "not sorted"
        yield (
            f"{verdict} by {what}: {counted(sorting.runs, 'block')} of similar rows, "
            f"{sorting.expected:,.0f} expected in random order (z = {sorting.z:.1f}); the longest "
            f"block has {counted(sorting.longest, 'row')}"
        )


def _exchange(exchange: Exchange | None) -> Iterator[str]:
    if exchange is None:
        return
    verdict = "look swapped" if exchange.looks_exchanged else "do not look swapped"
    yield (
        f"training prompts and references {verdict}: their words differ from evaluation by "
        f"{exchange.straight:.3f} bits, and by {exchange.exchanged:.3f} bits when swapped"
    )
    if (found := exchange.prompts_as_references).count:
        yield f"equal to an evaluation reference: {_of(found, 'training prompts')}"
    if (found := exchange.references_as_prompts).count:
        yield f"equal to an evaluation prompt: {_of(found, 'training references')}"


def _sides(both: Both[T]) -> Iterator[tuple[str, T]]:
    for side, each in zip(SIDES, (both.train, both.eval), strict=True):
        if each is not None:
            yield side, each


def _of(count: Count, what: str) -> str:
    return of_all(count.count, count.of, what)


def _ids(count: Count) -> str:
    if not count.count:
        return ""
    more = ", ..." if count.count > len(count.examples) else ""
    return f": {', '.join(one_line(each, NAME_WIDTH) for each in count.examples)}{more}"


def _name(text: str) -> str:
    return f'"{one_line(text, NAME_WIDTH)}"'
