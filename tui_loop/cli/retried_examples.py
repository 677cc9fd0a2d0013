"""Generates examples again in a separate process and scores them, for the command and the app.

Nothing is recorded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tui_loop.cli.inference_client import InferenceClient
from tui_loop.core.commands import command
from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.retry_settings import GENERATION, Retried, check_settings
from tui_loop.core.inference_messages import GenerateResponse, ServerStatus
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import Scorer


class Retry:
    """Generates examples again for the app (`tui.backend.RetryProcess`); starts at once.

    A thread computes the scores, because a metric may be slow.
    """

    def __init__(
        self,
        folder: IterationFolder,
        examples: Sequence[Example],
        scorer: Scorer,
        settings: Sequence[str],
    ) -> None:
        self._client = InferenceClient(folder.loop, [folder.number], settings)
        self._messages: queue.SimpleQueue[Retried | ServerStatus] = queue.SimpleQueue()
        threading.Thread(
            target=self._collect, args=(examples, scorer), name="retry", daemon=True
        ).start()

    def take(self) -> list[Retried | ServerStatus]:
        """Returns the results and states since the last call; never waits."""
        taken: list[Retried | ServerStatus] = []
        with suppress(queue.Empty):
            while True:
                taken.append(self._messages.get_nowait())
        return taken

    def close(self) -> None:
        """Ends the process at once; further calls do nothing."""
        self._client.close()

    def _collect(self, examples: Sequence[Example], scorer: Scorer) -> None:
        """Queues the results; the last message is `answered`, or `error` with the reason."""
        try:
            for message in retried(self._client, examples, scorer):
                self._messages.put(message)
        except TuiLoopError as error:
            self._messages.put(ServerStatus("error", message=error.message, hint=error.hint))
        except Exception as error:  # nothing else catches an exception of this thread
            self._messages.put(
                ServerStatus(
                    "error",
                    message=f"{type(error).__name__}: {error}",
                    hint="this is a bug in tui-loop",
                )
            )
        else:
            self._messages.put(ServerStatus("answered"))
        finally:
            self._client.close()


def retried(
    client: InferenceClient, examples: Sequence[Example], scorer: Scorer
) -> Iterator[Retried | ServerStatus]:
    """Yields each example's new result and the model's states; raises BadInput."""
    by_id = {example.id: example for example in examples}
    request_number = client.ask_examples(list(by_id))
    for message in client.answers_to(request_number):
        if isinstance(message, GenerateResponse):
            example = by_id[message.example]
            score = scorer.score(message.output, example.reference, example.other_references)
            yield Retried(example, message, score, score >= scorer.pass_score)
        elif message.state in ("left_out", "error"):
            raise BadInput(message.message, message.hint)
        else:
            yield message


def scorer_of(folder: IterationFolder, *, allow_code: bool) -> Scorer:
    """Returns the scorer of an iteration's evaluation; raises BadInput where it had none."""
    from tui_loop.engine.foreign_code import require_config_consent
    from tui_loop.engine.scorers import scorer_for

    config = folder.read_config()
    require_config_consent(config, folder.loop.root, allow=allow_code)
    labels = folder.read_effective().get("evaluation", {}).get("labels", [])
    scorer = scorer_for(config.evaluation, labels, folder.loop.root)
    if scorer is None:
        raise BadInput(
            f"{folder} has metric none, so no example passes or fails",
            command("ask", folder, "PROMPT"),
        )
    return scorer


def start_retry(
    folder: IterationFolder,
    examples: Sequence[Example],
    settings: Sequence[str],
    *,
    allow_code: bool,
) -> Retry:
    """Starts generating examples again; raises TuiLoopError where that is not possible."""
    check_settings(settings, (*GENERATION, "run.device"))
    with_settings(folder.read_config(), list(settings))
    scorer = scorer_of(folder, allow_code=allow_code)
    return Retry(folder, examples, scorer, settings)
