"""TOML that costs far too much is refused before it is parsed; nothing else is."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.config.settings import parse_value
from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.codec import (
    MAX_BARE_LENGTH,
    MAX_DEPTH,
    MAX_KEY_PARTS,
    MAX_KEYS,
    check_toml,
)

PARTS = ".".join("a" * (MAX_KEY_PARTS + 1))
BOMBS = {
    "a key": (f"{PARTS} = 1", "dotted parts", 1),
    "a key of thousands of parts": (f"{'.'.join('a' * 20_000)} = 1", "dotted parts", 1),
    "a key with blanks": (f"a = 1\n{PARTS.replace('.', ' . ')} = 1", "dotted parts", 2),
    "a key in quotes": (f"{PARTS.replace('a', chr(34) + 'x' + chr(34))} = 1", "dotted parts", 1),
    "a header": (f"[{PARTS}]\na = 1", "dotted parts", 1),
    "a header of tables": (f"\n\n[[{PARTS}]]", "dotted parts", 3),
    "a key in a table in line": (f"a = {{b = 1, {PARTS} = 1}}", "dotted parts", 1),
    "a key in a list of tables": (f"a = [\n{{{PARTS} = 1}}]", "dotted parts", 2),
    "after a text of several lines": (f'a = """\n\\"""\n"""""\n{PARTS} = 1', "dotted parts", 4),
    "after quotes of the other kind": (f"a = '''\n\"\"\"\n'''\n{PARTS} = 1", "dotted parts", 4),
    "after a text with a backslash": (f"a = 'x\\'\n{PARTS} = '1'", "dotted parts", 2),
    "after a comment with a quote": (f'a = 1 # "\n{PARTS} = 1', "dotted parts", 2),
    "lists": (f"a = 1\nb = {'[' * 65}{']' * 65}", "nested more than 64 deep", 2),
    "tables in line": (f"b = {'{a = ' * 65}1{'}' * 65}", "nested more than 64 deep", 1),
    "a number": (f"a = 1{'0' * MAX_BARE_LENGTH}", "without quotes or spaces", 1),
    "a fraction": (f"a = 0.{'1' * MAX_BARE_LENGTH}", "without quotes or spaces", 1),
    "keys": ("".join(f"a{n} = 1\n" for n in range(20_001)), "20,000 keys and tables", 20_001),
    "headers": ("".join(f"[a{n}]\n" for n in range(20_001)), "20,000 keys and tables", 20_001),
    "elements": ("[[a]]\n" * 20_001, "20,000 keys and tables", 20_001),
}


@pytest.mark.parametrize(("text", "what", "line"), BOMBS.values(), ids=BOMBS)
def test_what_would_cost_too_much_is_refused_with_its_line(text: str, what: str, line: int) -> None:
    with pytest.raises(BadInput, match=rf"^loop\.toml: .*{what}.*\(at line {line}\)$"):
        codec.from_toml(text, "loop.toml")


DOTS = "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z = 1 ..."
NESTED = "[{" * 100
FINE = {
    "a text": f'goal = "{DOTS} {NESTED}"',
    "a text in single quotes": f"goal = '{DOTS} {NESTED}'",
    "a text with quotes in it": f'goal = "\\"{DOTS}\\\\"\nwhy = "x"',
    "a text of several lines": f'goal = """\n{DOTS}\n[{DOTS}]\n""{DOTS} {NESTED}"""',
    "a text that ends in quotes": f'goal = """{DOTS}"""""\nwhy = "{DOTS}"',
    "a raw text of several lines": f"goal = '''\n{DOTS}\n''{DOTS} {NESTED}'''''\nwhy = '{DOTS}'",
    "a comment": f'# {DOTS} {NESTED}\ngoal = 1 # """ {DOTS}',
    "a key in quotes": f'"{DOTS}" = 1\n[\'x {DOTS}\']\n"{DOTS}".x = 1',
    "a key as deep as can be": f"{'.'.join('a' * MAX_KEY_PARTS)} = 1",
    "lists as deep as can be": f"a = {'[' * MAX_DEPTH}{']' * MAX_DEPTH}",
    "numbers and dates": f"a = [{'1.5, ' * 500}1e-3, 1979-05-27T07:32:00.999999-07:00, 0.1]",
    "many lists": f"a = [{'[], ' * 500}[]]",
    "a long text": f'a = "{"x." * 100_000}"',
    "many texts": "a = [\n" + f'  "{DOTS}",\n' * 30_000 + "]",
    "as many keys as can be": "".join(f"a{n} = 1\n" for n in range(MAX_KEYS)),
    "line ends of Windows": f'a = """\r\n{DOTS}\r\n"""\r\nb = 1\r\n',
    "nothing": "",
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_dots_and_brackets_in_texts_comments_and_numbers_do_not_count(text: str) -> None:
    assert codec.from_toml(text, "loop.toml") == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a = '''x",
            'a = """x\\',
            "a = 'x\ny",
            'a = "',
            "= = =",
            "]]]]",
            "}" * 200,
            "\\",
            '"""' * 7,
        ),
        *('a = """' + '\\"""' * 5000, "." * 10, "[", "a.b", "'" * 8, "#" * 2000),
    ],
)
def test_all_else_that_is_wrong_is_left_to_the_parser(text: str) -> None:
    check_toml(text)
    with pytest.raises(tomllib.TOMLDecodeError) if "#" not in text else pytest.raises(KeyError):
        tomllib.loads(text)["nothing"]


words = st.text(st.sampled_from("ab.\"'\\#=[]{},\n \t\u00e4"), max_size=40)
tables = st.recursive(
    words | st.floats(allow_nan=False) | st.integers() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(words, tables, max_size=5))
def test_what_this_program_writes_is_never_refused_and_what_follows_it_is(
    table: dict[str, Any],
) -> None:
    text = codec.to_toml(table)
    check_toml(text)
    lines = text.count("\n") + 1
    with pytest.raises(ValueError, match=rf"dotted parts \(at line {lines}\)"):
        check_toml(f"{text}{PARTS} = 1")


def test_a_value_of_the_command_line_that_would_cost_too_much_is_a_text() -> None:
    bomb = f"{{{'.'.join('a' * 50_000)} = 1}}"
    assert parse_value(bomb) == bomb
    assert parse_value('{"a.b" = [1.5]}') == {"a.b": [1.5]}
