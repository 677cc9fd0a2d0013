"""Sends one prompt to several models and shows their responses: iteration, parent, base."""

from __future__ import annotations

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.inference_messages import BASE, GenerateResponse, ServerMessage
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import counted
from tui_loop.tui.backend import ModelClient
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import bindings, in_keys
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.field import TextInput
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

POLL_SECONDS = 0.1
EDITABLE = 2000
"""The longest prompt, in characters, that is put into the input line for editing."""

FOOTER = ("asking.ask", "asking.drop", "asking.up", "asking.down", "app.back", "app.help")
NAME = 11
"""Cells of the names before the responses."""


class Exchange(msgspec.Struct):
    """A prompt and its responses so far; `wanted` is the reference of a held-out example."""

    prompt: str
    wanted: str | None = None
    responses: dict[int, GenerateResponse] = {}
    fault: str = ""
    is_done: bool = False


class PromptLine(TextInput):
    """The input line for a prompt."""

    DEFAULT_CSS = """
    PromptLine {
        height: 1; border: none; padding: 0 1; background: $row-cursor;
        &:focus { border: none; background: $row-cursor; }
    }
    """


class AskingScreen(Screen[None]):
    """Sends prompts to an inference server, which is closed with the screen."""

    BINDINGS = bindings("asking")
    scopes = ("asking", "app")
    DEFAULT_CSS = """
    AskingScreen { background: $background; }
    AskingScreen > Vertical {
        border: round $style-accent; border-subtitle-color: $style-muted; height: 1fr;
    }
    """

    def __init__(self, client: ModelClient, title: str, example: Example | None = None) -> None:
        super().__init__()
        self._client, self._title, self._example = client, title, example
        self._exchanges: dict[int, Exchange] = {}
        self._left_out: dict[int, str] = {}
        self._state = "starting ..."
        self._is_cancelling = False
        self.sheet = Sheet()
        self.line = PromptLine(placeholder="type a prompt; enter sends it", id="prompt")

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.sheet
            yield self.line
        yield Bar(id="keys")

    def on_mount(self) -> None:
        keys = getattr(self.app, "keys", {})
        self.query_one("#keys", Bar).show(key_pieces(FOOTER, keys, typing=True))
        self.line.focus()
        if self._example is not None:
            self._put(self._example.prompt, self._example)
            if "\n" not in self._example.prompt and len(self._example.prompt) <= EDITABLE:
                self.line.value = self._example.prompt
        self.set_interval(POLL_SECONDS, self._poll)
        self._draw()

    def on_unmount(self) -> None:
        self._client.close()

    def on_input_submitted(self, event: PromptLine.Submitted) -> None:
        event.stop()
        self.action_ask()

    def action_ask(self) -> None:
        text = self.line.value.strip()
        if text:
            self._put(text)
            self.line.value = ""

    def action_drop(self) -> None:
        """Cancels the open requests."""
        self._is_cancelling = True
        self._client.drop()
        self.notify("Cancelling. {app.back} again leaves.")

    def action_scroll(self, pages: int) -> None:
        self.sheet.action_page_down() if pages > 0 else self.sheet.action_page_up()

    def action_back(self) -> None:
        """Cancels the open requests first; without any, leaves the screen."""
        is_waiting = any(not each.is_done for each in self._exchanges.values())
        if is_waiting and not self._is_cancelling:
            self.action_drop()
        else:
            self.dismiss()

    def _put(self, prompt: str, example: Example | None = None) -> None:
        self._is_cancelling = False
        number = self._client.ask(prompt, example=example.id if example is not None else "")
        wanted = example.reference if example is not None else None
        self._exchanges[number] = Exchange(prompt, wanted)
        self._draw()

    def _poll(self) -> None:
        messages = self._client.take()
        for each in messages:
            self._handle_message(each)
        if messages:
            self._draw()

    def _handle_message(self, message: ServerMessage) -> None:
        if isinstance(message, GenerateResponse):
            if message.id in self._exchanges:
                self._exchanges[message.id].responses[message.iteration] = message
            return
        exchange = self._exchanges.get(message.id) if message.id is not None else None
        hint = in_keys(message.hint, services_of(self).keys)
        fault = " · ".join(filter(None, (message.message, hint)))
        match message.state:
            case "loading":
                self._state = f"loading {_name(message.iteration)} ..."
            case "left_out" if message.iteration is not None:
                self._left_out[message.iteration] = fault
            case "ready":
                self._state = ""
            case "answered" | "error" if exchange is not None:
                exchange.is_done, exchange.fault = True, fault
            case "error" | "ended":
                self._end(fault)

    def _end(self, fault: str) -> None:
        self._state = fault or "the inference server ended"
        for each in self._exchanges.values():
            each.is_done = True

    def _draw(self) -> None:
        waiting = [each for each in self._exchanges.values() if not each.is_done]
        state = self._state or (f"{len(waiting)} waiting" if waiting else "")
        entitle(self.query_one(Vertical), self._title, state)
        lines: list[list[Span]] = [
            [(f"{_name(number):<{NAME}}", "muted"), (f"left out: {why}", "warn")]
            for number, why in self._left_out.items()
        ]
        for exchange in self._exchanges.values():
            lines += [[], *self._lines(exchange)] if lines else self._lines(exchange)
        if not self._exchanges:
            who = " and ".join(
                "the base model" if number == BASE else f"iteration {number}"
                for number in self._client.iterations
            )
            text = f"Each prompt is sent to {who}. Prompts and responses are not recorded."
            lines.append([(text, "muted")])
        self.sheet.show(lines, keep_place=True)
        self.sheet.scroll_end(animate=False, force=True, immediate=True)

    def _lines(self, exchange: Exchange) -> list[list[Span]]:
        lines: list[list[Span]] = [[("asked".ljust(NAME), "muted"), (exchange.prompt, "strong")]]
        if exchange.wanted is not None:
            lines.append([("wanted".ljust(NAME), "muted"), (exchange.wanted, "good")])
        for number in self._client.iterations:
            if number in self._left_out:
                continue
            name: Span = (f"{self._who(number):<{NAME}}", "accent")
            response = exchange.responses.get(number)
            if response is None:
                if not exchange.is_done:
                    lines.append([name, ("...", "muted")])
                continue
            limit = ", cut at the token limit" if response.truncated else ""
            figures = f"   {counted(response.tokens, 'token')}{limit}, {response.seconds:.1f} s"
            lines.append([name, (response.output.strip() or "(empty)", ""), (figures, "muted")])
        if exchange.fault:
            lines.append([(" " * NAME, ""), (flat(exchange.fault, 400), "bad")])
        return lines

    def _who(self, number: int) -> str:
        """Returns the name before a response: `6 tuned`, `2 parent`, `base`."""
        asked = [each for each in self._client.iterations if each != BASE]
        if number == BASE or number not in asked:
            return _name(number)
        return f"{number} {'parent' if asked.index(number) else 'tuned'}"


def _name(number: int | None) -> str:
    return "base" if number == BASE else f"{number}"
