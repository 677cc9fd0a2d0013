"""Why the tool calls of an output are not those of its reference (metric tool_call).

Calls that are equal on both sides are left out first. Of the others, those of one tool are compared
in order.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tui_loop.core.examples.cause_kinds import Cause, CauseEvidence
from tui_loop.core.examples.output_comparison import OutputComparison, count, limit_of, quoted
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.tool_calls import ParsedCall, ParsedOutput, parse_tool_calls

_SHOWN = 32
_FEW = 3
_MISSING = object()


def call_causes(comparison: OutputComparison, output: ParsedOutput) -> list[CauseEvidence]:
    """Returns the causes in the calls of an output; [] where they are those of the reference."""
    reference = parse_tool_calls(comparison.reference)
    if output.is_broken:
        return [_broken(comparison)]
    if reference.calls and not output.calls:
        return [CauseEvidence(Cause.NO_CALL, _no_call(comparison, reference))]
    if comparison.example.truncated and _starts_right(output, reference):
        text = f"starts with the right calls, then continues to {limit_of(comparison.measured)}"
        return [CauseEvidence(Cause.NO_END_TOKEN, text)]
    wrong, due = _unequal(output, reference), _unequal(reference, output)
    found = [_wrong_tool(wrong, due, reference), _wrong_argument(wrong, due)]
    return [each for each in found if each is not None]


def _broken(comparison: OutputComparison) -> CauseEvidence:
    if comparison.example.truncated:
        text = f"stopped at {limit_of(comparison.measured)}, in the middle of a call"
        return CauseEvidence(Cause.TRUNCATED_OUTPUT, text)
    text = f"a call cannot be parsed: {quoted(comparison.output)}"
    return CauseEvidence(Cause.INVALID_CALL, text)


def _no_call(comparison: OutputComparison, reference: ParsedOutput) -> str:
    wanted = _names(call.name for call in reference.calls)
    return f"no call in the output {quoted(comparison.output)}; the reference calls {wanted}"


def _starts_right(output: ParsedOutput, reference: ParsedOutput) -> bool:
    first = Counter(call.form for call in output.calls[: len(reference.calls)])
    return bool(reference.calls) and first == reference.forms


def _unequal(one: ParsedOutput, other: ParsedOutput) -> list[ParsedCall]:
    """Returns the calls of one side without those that are equal on the other."""
    equal, rest = other.forms, []
    for call in one.calls:
        if equal[call.form]:
            equal[call.form] -= 1
        else:
            rest.append(call)
    return rest


def _wrong_tool(
    wrong: list[ParsedCall], due: list[ParsedCall], reference: ParsedOutput
) -> CauseEvidence | None:
    """Reports calls of other tools, calls that are missing, and calls that are not due."""
    called, wanted = Counter(each.name for each in wrong), Counter(each.name for each in due)
    extra, missing = list((called - wanted).elements()), list((wanted - called).elements())
    if not extra and not missing:
        return None
    calls = count(len(reference.calls), "call")
    if not reference.calls:
        text = f"calls {_names(extra)}; the reference has no call"
    elif extra and missing:
        text = f"calls {_names(extra)} instead of {_names(missing)}"
    elif missing:
        text = f"does not call {_names(missing)}; the reference has {calls}"
    else:
        text = f"also calls {_names(extra)}; the reference has {calls}"
    return CauseEvidence(Cause.WRONG_TOOL, text)


def _wrong_argument(wrong: list[ParsedCall], due: list[ParsedCall]) -> CauseEvidence | None:
    """Reports the first argument that differs between calls of one tool."""
    waiting: dict[str, list[ParsedCall]] = defaultdict(list)
    for call in reversed(due):
        waiting[call.name].append(call)
    pairs = [(call, waiting[call.name].pop()) for call in wrong if waiting[call.name]]
    differences = [
        (call.name, *each)
        for call, other in pairs
        for each in _differences(call.arguments, other.arguments)
    ]
    if not differences:
        return None
    name, path, value, expected = differences[0]
    text = f"{one_line(f'{name}: {path}', 2 * _SHOWN)}"
    if value is _MISSING:
        text += f" is missing; the reference has {_shown(expected)}"
    elif expected is _MISSING:
        text += f" is {_shown(value)}, but the reference has no such argument"
    else:
        text += f" is {_shown(value)} instead of {_shown(expected)}"
    if len(differences) > 1:
        text += f"; {count(len(differences) - 1, 'more difference')}"
    return CauseEvidence(Cause.WRONG_ARGUMENT, text)


def _differences(value: Any, expected: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yields (path, value, expected) of what differs; objects are compared by key."""
    pending = [("", value, expected)]  # no recursion: arguments may be nested too deeply for it
    while pending:
        path, one, other = pending.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            keys = dict.fromkeys([*other, *one])
            pending.extend(
                (f"{path}.{key}" if path else key, one.get(key, _MISSING), other.get(key, _MISSING))
                for key in reversed(keys)
            )
        elif one is _MISSING or other is _MISSING or _json(one) != _json(other):
            yield path, one, other


def _names(names: Iterable[str]) -> str:
    """Returns `f`, `f and g` or `f, g, h and 4 more`; a name that repeats has its number."""
    counts = Counter(names)
    parts = [
        one_line(name, _SHOWN) + (f" {times} times" if times > 1 else "")
        for name, times in counts.items()
    ]
    if len(parts) > _FEW:
        parts = [", ".join(parts[:_FEW]), f"{len(parts) - _FEW} more"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _shown(value: Any) -> str:
    return one_line(_json(value), _SHOWN)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply)"
