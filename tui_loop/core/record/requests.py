"""Requests to a live run: a small append-only file that the run host reads."""

from __future__ import annotations

import getpass
import os
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.files import read_small
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.safe_open import check_regular
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import LIVE

RequestName = Literal["stop", "pause", "continue", "evaluate", "checkpoint"]


class Request(msgspec.Struct, frozen=True):
    """A line of `requests.jsonl`; ignored unless `attempt` is the live one."""

    id: str
    attempt: int
    name: RequestName
    save: bool = True
    evaluate: bool = True
    by: str = ""


def append_request(
    path: Path, attempt: int, name: RequestName, *, save: bool, evaluate: bool
) -> Request:
    """Appends a request to `path` and returns it."""
    request = Request(uuid.uuid4().hex[:12], attempt, name, save, evaluate, _user_name())
    line = to_json(request) + b"\n"
    check_regular(path)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # after a torn line it would be unreadable too
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    return request


class RequestReader:
    """Returns each request for `attempt` once; skips broken lines and requests for other attempts.

    `also`: ids of requests that are returned for any attempt.
    """

    def __init__(self, path: Path, attempt: int, also: Collection[str] = ()) -> None:
        self._path, self._attempts, self._also = path, {attempt}, also
        self._seen = set[str]()

    def add_attempt(self, attempt: int) -> None:
        """Accepts requests for another attempt of the same host as well."""
        self._attempts.add(attempt)

    def read(self) -> list[Request]:
        """Returns the requests since the last call."""
        new = []
        for request in _requests_in(self._path):
            is_ours = request.attempt in self._attempts or request.id in self._also
            if is_ours and request.id not in self._seen:
                self._seen.add(request.id)
                new.append(request)
        return new


def asks_to_stop(folder: IterationFolder, attempt: int) -> bool:
    """Returns whether there is a stop request for an attempt, acknowledged or not."""
    found = _requests_in(folder.requests)
    return any(each.name == "stop" and each.attempt == attempt for each in found)


def request_ids(path: Path) -> frozenset[str]:
    """Returns the ids of all requests in the file, for any attempt."""
    return frozenset(request.id for request in _requests_in(path))


def _requests_in(path: Path) -> Iterator[Request]:
    try:
        lines = read_small(path).split(b"\n")[:-1]
    except (OSError, BadInput):
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


POLL_SECONDS = 0.1


def send_request(
    folder: IterationFolder, name: RequestName, *, save: bool = True, evaluate: bool = True
) -> Request:
    """Appends a request for the live attempt, or for the next one if none is live."""
    attempt = read_run(folder).asked_attempt
    return append_request(folder.requests, attempt, name, save=save, evaluate=evaluate)


def is_acknowledged(folder: IterationFolder, request: Request, seconds: float) -> bool:
    """Waits until the run acknowledges a request; returns False after `seconds` or a run's end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(seen.id == request.id for seen in read_run(folder).requests):
            return True
        if iteration_of(folder).state not in LIVE:
            return False
        time.sleep(POLL_SECONDS)
    return False


TERMINATION = "termination"
"""The id of the request by which a signal stops a run."""


def ended_by_termination(run: RunState) -> bool:
    """Returns whether a signal stopped the run, and no person."""
    stops = [each for each in run.requests if each.name == "stop"]
    is_stopped = run.ended is not None and run.ended.state == "stopped"
    return is_stopped and bool(stops) and stops[0].id == TERMINATION


def live_numbers(loop: LoopFolder) -> list[int]:
    """Returns the numbers of the loop's live runs."""
    return [n for n in loop.numbers() if iteration_of(loop.iteration(n)).state in LIVE]


def live_run_in(loop: LoopFolder) -> str:
    """Returns `loop/N` of the loop's first live run, "" without one."""
    return next((str(loop.iteration(number)) for number in live_numbers(loop)), "")
