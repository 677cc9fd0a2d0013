"""Writes a document as one HTML page: no script, no external resource, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from tui_loop.core.report.document import (
    Block,
    Document,
    Fields,
    Heading,
    Items,
    Link,
    Paragraph,
    Quote,
    Raw,
    RunChart,
    Table,
    Text,
    TrailChart,
)
from tui_loop.core.report.svg import run_svg, text_of, trail_svg

MARK = "<!doctype html>\n<!-- tui-loop report -->\n"
"""The start of every page, by which `report` recognizes a file that it may replace."""

_LIGHT = (
    "--fg:#1c2128;--bg:#fff;--muted:#5c6670;--line:#d5dbe1;--code:#f3f5f7;"
    "--train:#1a5fb4;--eval:#a34700;--best:#1a7f37;--bad:#b3261e"
)
_DARK = (
    "--fg:#d7dde3;--bg:#14181d;--muted:#98a3ae;--line:#333b44;--code:#1e242b;"
    "--train:#78aeff;--eval:#f0a35e;--best:#57c26f;--bad:#ff8a80"
)
STYLE = (
    f":root{{color-scheme:light dark;{_LIGHT}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    # Paper is white also where the screen is dark.
    f"@media print{{:root{{{_LIGHT}}}}}"
    """
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:68rem;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2}
h2{font-size:1.25rem;margin-top:2.4rem;padding-bottom:.2rem;border-bottom:1px solid var(--line)}
h3{font-size:1.05rem;margin-top:1.8rem}
a{color:inherit}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.15rem 1rem;margin:.6rem 0}
dt{color:var(--muted)}
dd{margin:0}
.wide{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.25rem .7rem .25rem 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line);overflow-wrap:normal}
th{color:var(--muted);font-weight:600}
td{min-width:2rem;max-width:26rem}
td.long{min-width:14rem}
td.long code{overflow-wrap:anywhere}
.right{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code,pre{font:0.86em/1.45 ui-monospace,monospace;background:var(--code);border-radius:3px}
code{padding:.05em .25em;white-space:pre-wrap}
pre{margin:.2rem 0 .6rem;padding:.5rem .7rem;white-space:pre-wrap}
.label,.muted{color:var(--muted);font-size:.9rem}
.label{margin:.4rem 0 0}
.bad{color:var(--bad)}
figure{margin:1rem 0;max-width:40rem}
figcaption{color:var(--muted);font-size:.9rem}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--muted);font:12px system-ui,sans-serif}
svg .y,svg .legend{text-anchor:end}
svg .x,svg .none{text-anchor:middle}
svg path{fill:none;stroke-width:1.8;stroke-linejoin:round}
svg path.grid{stroke:var(--line);stroke-width:1}
svg path.train{stroke:var(--train)}
svg path.raw{stroke-width:1;opacity:.35}
svg path.eval{stroke:var(--eval);stroke-dasharray:5 3}
svg path.rule{stroke:var(--bad);stroke-dasharray:2 3}
svg path.bar{stroke:var(--muted);stroke-width:1.4}
svg circle.eval{fill:var(--eval)}
svg circle.point{fill:var(--train)}
svg circle.best,svg .legend.best{fill:var(--best)}
svg .legend.train{fill:var(--train)}
svg .legend.eval{fill:var(--eval)}
@media (max-width:36rem){body{padding:.7rem}dl{grid-template-columns:1fr;gap:0}
dd{margin:0 0 .4rem}}
@media print{body{max-width:none;font-size:11px}figure,pre,tr{break-inside:avoid}
h2,h3{break-after:avoid}.wide{overflow:visible}}
"""
)
NOTHING = '<span class="muted">(nothing)</span>'
RIGHT = ' class="right"'
LONG = 40
"""Characters above which a table cell gets a larger minimum width."""


def html_page(document: Document) -> str:
    """Returns the document as an HTML page."""
    body = "\n".join(map(_block, document.blocks))
    return (
        f'{MARK}<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<meta name="generator" content="{text_of(document.maker)}">\n'
        f"<title>{text_of(document.title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Heading():
            anchor = f' id="{text_of(block.anchor)}"' if block.anchor else ""
            result = f"<h{block.level}{anchor}>{text_of(block.text)}</h{block.level}>"
        case Paragraph():
            tone = f' class="{block.tone}"' if block.tone else ""
            result = f"<p{tone}>{text_of(block.text)}</p>"
        case Fields():
            result = _fields(block.rows)
        case Items():
            result = f"<ul>{''.join(f'<li>{text_of(text)}</li>' for text in block.texts)}</ul>"
        case Table():
            result = _table(block)
        case Quote() if block.is_short:
            result = _fields([(label, Raw(text)) for label, text in block.texts])
        case Quote():
            result = "".join(
                f'<p class="label">{text_of(label)}</p>'
                + (f"<pre>{text_of(text)}</pre>" if text else f"<p>{NOTHING}</p>")
                for label, text in block.texts
            )
        case RunChart():
            result = _figure(run_svg(block), block.title)
        case TrailChart():
            result = _figure(trail_svg(block), block.title)
    return result


def _fields(rows: Sequence[tuple[str, Text]]) -> str:
    result = (f"<dt>{text_of(name)}</dt><dd>{_text(text) or NOTHING}</dd>" for name, text in rows)
    return f"<dl>{''.join(result)}</dl>"


def _text(text: Text | Link) -> str:
    match text:
        case Raw():
            return f"<code>{text_of(text.text)}</code>" if text.text else ""
        case Link():
            return f'<a href="#{text_of(text.anchor)}">{text_of(text.text)}</a>'
        case _:
            return text_of(text)


def _table(table: Table) -> str:
    def cell(at: int, text: Text | Link) -> str:
        length = len(text if isinstance(text, str) else text.text)
        kind = RIGHT if at in table.right else ' class="long"' if length > LONG else ""
        return f"<td{kind}>{_text(text)}</td>"

    names = "".join(
        f"<th{RIGHT if at in table.right else ''}>{text_of(name)}</th>"
        for at, name in enumerate(table.head)
    )
    rows = "".join(
        f"<tr>{''.join(cell(at, text) for at, text in enumerate(row))}</tr>\n" for row in table.rows
    )
    return (
        f'<div class="wide"><table>\n<thead><tr>{names}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></div>"
    )


def _figure(svg: str, title: str) -> str:
    return f"<figure>{svg}<figcaption>{text_of(title)}</figcaption></figure>"
