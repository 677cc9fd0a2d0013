"""Examples generated again by a process of their own and scored as they come, for command and app.

Nothing of it is recorded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tui_loop.cli.inference_client import ModelAsker
from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.retry_settings import GENERATION, Retried, check_settings
from tui_loop.core.inference_messages import GenerateResponse, ServerStatus
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import Scorer


class GeneratingAgain:
    """Stands behind the app's screen (`tui.backend.GeneratingAgain`); it begins at once.

    Scores are found in a thread of its own: a metric may take its time.
    """

    def __init__(
        self,
        folder: IterationFolder,
        examples: Sequence[Example],
        scorer: Scorer,
        settings: Sequence[str],
    ) -> None:
        self._asker = ModelAsker(folder.loop, [folder.number], settings)
        self._told: queue.SimpleQueue[Retried | ServerStatus] = queue.SimpleQueue()
        work = threading.Thread(
            target=self._listen, args=(examples, scorer), name="again", daemon=True
        )
        work.start()

    def take(self) -> list[Retried | ServerStatus]:
        """What came since it was last taken; never waits."""
        parts: list[Retried | ServerStatus] = []
        with suppress(queue.Empty):
            while True:
                parts.append(self._told.get_nowait())
        return parts

    def close(self) -> None:
        """Ends the process at once; further calls do nothing."""
        self._asker.close()

    def _listen(self, examples: Sequence[Example], scorer: Scorer) -> None:
        """Tells results as they come; ends with `answered`, or with `error` and why."""
        try:
            for each in retried(self._asker, examples, scorer):
                self._told.put(each)
        except TuiLoopError as error:
            self._told.put(ServerStatus("error", message=error.message, hint=error.hint))
        except Exception as error:  # the edge of a thread: whoever waits is told
            text = f"{type(error).__name__}: {error}"
            self._told.put(ServerStatus("error", message=text, hint="this is a fault of tui-loop"))
        else:
            self._told.put(ServerStatus("answered"))
        finally:
            self._asker.close()


def retried(
    asker: ModelAsker, examples: Sequence[Example], scorer: Scorer
) -> Iterator[Retried | ServerStatus]:
    """Each example's result as it comes, and how it stands with the model; raises BadInput."""
    by_id = {each.id: each for each in examples}
    question = asker.ask_examples(list(by_id))
    for heard in asker.answers_to(question):
        if isinstance(heard, GenerateResponse):
            example = by_id[heard.example]
            score = scorer.score(heard.output, example.reference)
            yield Retried(example, heard, score, score >= scorer.pass_score)
        elif heard.state in ("left_out", "error"):
            raise BadInput(heard.message, heard.hint)
        else:
            yield heard


def scorer_of(folder: IterationFolder, *, allow_code: bool) -> Scorer:
    """What an iteration's outputs were scored by; raises BadInput where they were not."""
    from tui_loop.engine.foreign_code import require_config_consent
    from tui_loop.engine.scorers import scorer_for

    config = folder.read_config()
    require_config_consent(config, folder.loop.root, allow=allow_code)
    labels = folder.read_effective().get("evaluation", {}).get("labels", [])
    scorer = scorer_for(config.evaluation, labels, folder.loop.root)
    if scorer is None:
        raise BadInput(f"{folder} has metric none: nothing passes or fails", "t asks its models")
    return scorer


def generate_again(
    folder: IterationFolder,
    examples: Sequence[Example],
    settings: Sequence[str],
    *,
    allow_code: bool,
) -> GeneratingAgain:
    """Begins to generate examples again; raises TuiLoopError where that cannot be."""
    check_settings(settings, (*GENERATION, "run.device"))
    with_settings(folder.read_config(), list(settings))
    scorer = scorer_of(folder, allow_code=allow_code)
    return GeneratingAgain(folder, examples, scorer, settings)
