"""Models of a loop side by side, each asked as its own evaluation asked it.

Iterations on one base share it: their adapters are loaded beside each other and one at a time
is active, none for the base itself. That holds for inference only and for adapters that leave the
base alone (a test holds such outputs against the recorded ones); where biases were trained along,
or the whole model, an iteration has a base to itself.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.data.rows import Row, Shape
from tui_loop.core.errors import BadInput, NotFound, TuiLoopError
from tui_loop.core.inference_messages import BASE, GenerateResponse
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.engine.evaluation import context_of
from tui_loop.engine.generation import generate
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.model_source import TINY, find_model
from tui_loop.engine.models import LoadedModel, load_model
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.sources import read_source
from tui_loop.engine.weights import checked_weights, shares_base

NEW_TOKENS = 64
"""The limit where an iteration's record has none."""

Poll = Callable[[], None]


class _Weights:
    """A loaded base and the adapters that stand on it."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._model: Any = loaded.model
        self._has_adapters = False

    def add(self, adapter: str, name: str) -> None:
        """Loads an adapter beside those that are there."""
        from peft import PeftModel

        if self._has_adapters:
            self._model.load_adapter(adapter, name, torch_device=str(self.loaded.device))
        else:
            self._model = PeftModel.from_pretrained(self.loaded.model, adapter, adapter_name=name)
            self._has_adapters = True
        self._model.eval()

    @contextlib.contextmanager
    def active(self, name: str | None) -> Iterator[Any]:
        """The model with one adapter, or with none of them."""
        if not self._has_adapters:
            yield self._model
        elif name is None:
            with self._model.disable_adapter():
                yield self._model
        else:
            self._model.set_adapter(name, inference_mode=True)
            yield self._model


class _Speaker(msgspec.Struct, frozen=True):
    """The model of one iteration, and how its evaluation asks it."""

    number: int
    config: Config
    weights: _Weights
    adapter: str | None
    renderer: Renderer
    new_tokens: int
    context: int


class ModelPool:
    """The models of some iterations of a loop; `load` one after the other, then `answer`."""

    def __init__(self, loop: LoopFolder, numbers: Sequence[int], settings: Sequence[str]) -> None:
        self._loop = loop
        self._numbers = list(numbers)
        self._settings = list(settings)
        self._bases: dict[bytes, _Weights] = {}
        self._speakers: dict[int, _Speaker] = {}
        self._rows: dict[str, Row] | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The iterations that can answer."""
        return tuple(self._speakers)

    def load(self, number: int) -> None:
        """Loads the model of an iteration; raises TuiLoopError, and whatever the stack raises."""
        folder = self._record_of(number)
        config = with_settings(folder.read_config(), self._settings)
        source = find_model(config.model.id, self._loop.root)
        weights, adapter = self._bases.get(_base_key(config)), None
        if number == BASE:
            weights = weights or self._base(config)
        else:
            trained = checked_weights(folder, is_adapter=config.lora.enabled)
            if not config.lora.enabled:
                weights = _Weights(load_model(here(config), source, trained))
            else:
                is_shared, adapter = shares_base(trained), f"iteration-{number}"
                if not is_shared or weights is None:
                    weights = self._base(config, is_shared=is_shared)
                weights.add(str(trained), adapter)
        effective = folder.read_effective()
        evaluation = effective.get("evaluation", {})
        told = config.evaluation.max_new_tokens or evaluation.get("max_new_tokens") or NEW_TOKENS
        self._speakers[number] = _Speaker(
            number,
            config,
            weights,
            adapter,
            Renderer(weights.loaded.tokenizer, config, self._shape(effective, config)),
            int(told),
            context_of(weights.loaded.model),
        )

    def rows_of(self, examples: Sequence[str]) -> list[Row]:
        """The rows of held-out examples by id; raises BadInput for one that is not there.

        They come from the record of the first iteration. Conversations are not kept there as they
        were, so that the data is read for them.
        """
        folder = self._record_of(self._numbers[0])
        recorded = {each.id: each for each in folder.read_examples()}
        rows = []
        for name in examples:
            if name not in recorded:
                raise BadInput(
                    f"{folder} has no example {name!r}", command("failures", folder, "--all")
                )
            example = recorded[name]
            found = self._data_rows(folder).get(name)
            if found is not None and found.prompt == example.prompt:
                rows.append(found)
                continue
            if folder.read_effective().get("shape") == "messages":
                data = folder.read_config().data
                raise BadInput(
                    f"{name}: its turns are not in {data.eval or data.train} any more",
                    "restore the data file, or ask the prompt itself",
                )
            rows.append(Row(name, example.prompt, example.reference, example.source_line))
        return rows

    def answer(
        self,
        number: int,
        rows: Sequence[Row],
        settings: Sequence[str],
        *,
        question: int,
        poll: Poll,
        told: Callable[[GenerateResponse], None],
    ) -> None:
        """What the model of `number` says to each row, told as each batch is done.

        Greedy outputs are those of the evaluation, but for float noise where other rows share
        their batch. `poll` is called between two tokens and may raise. Raises TuiLoopError.
        """
        speaker = self._speakers[number]
        config = with_settings(speaker.config, list(settings))
        limit = config.evaluation.max_new_tokens or speaker.new_tokens
        if limit >= speaker.context:
            raise BadInput(
                f"evaluation.max_new_tokens: {limit} leaves no room for a prompt, the model takes "
                f"{speaker.context} tokens",
                "ask for fewer",
            )
        prompts = [speaker.renderer.prompt_ids(row) for row in rows]
        started, since = time.monotonic(), 0.0
        done: list[tuple[int, Any]] = []

        def flush(_: int) -> None:
            nonlocal since
            now = time.monotonic() - started
            each, since = (now - since) / max(1, len(done)), now
            for index, output in done:
                told(
                    GenerateResponse(
                        question,
                        number,
                        output.text,
                        output.tokens,
                        output.truncated,
                        round(each, 3),
                        len(prompts[index]),
                        max(0, len(prompts[index]) - (speaker.context - limit)),
                        rows[index].id,
                    )
                )
            done.clear()

        with speaker.weights.active(speaker.adapter) as model:
            generate(
                model,
                speaker.weights.loaded.tokenizer,
                prompts,
                settings=config.evaluation,
                max_new_tokens=limit,
                context=speaker.context,
                batch=EvalBatch(config.evaluation.batch_size),
                poll=poll,
                progress=flush,
                finished=lambda index, output: done.append((index, output)),
            )

    def _base(self, config: Config, *, is_shared: bool = True) -> _Weights:
        source = find_model(config.model.id, self._loop.root)
        weights = _Weights(load_model(here(config), source))
        if is_shared:
            self._bases[_base_key(config)] = weights
        return weights

    def _record_of(self, number: int) -> IterationFolder:
        """The iteration's folder; the first one's stands in for a base that was not evaluated."""
        try:
            return self._loop.existing(number)
        except NotFound:
            if number != BASE:
                raise
            return self._loop.existing(self._numbers[0])

    def _shape(self, effective: dict[str, Any], config: Config) -> Shape:
        """The shape of the data, as recorded, told, or as the data shows."""
        told = effective.get("shape") or config.data.shape
        shapes: tuple[Shape, ...] = ("text", "prompt_completion", "messages", "instruction")
        found = next((shape for shape in shapes if shape == told), None)
        return found or load_data(config, self._loop.root, read_source).mapping.shape

    def _data_rows(self, folder: IterationFolder) -> dict[str, Row]:
        """The held-out rows of the data files by id; none where these cannot be read."""
        if self._rows is None:
            try:
                data = load_data(folder.read_config(), self._loop.root, read_source)
                self._rows = {row.id: row for row in data.eval}
            except (TuiLoopError, OSError):
                self._rows = {}
        return self._rows


def set_threads(config: Config) -> None:
    """As many threads of torch as an evaluation under `config` has."""
    import torch

    told = config.run.cpu_threads or (1 if config.model.id == TINY else None)
    if told is not None:
        torch.set_num_threads(told)


def _base_key(config: Config) -> bytes:
    """Names what a base is loaded from; configs with one key can share it."""
    model = msgspec.structs.replace(config.model, init_adapter=None)
    return codec.to_json([msgspec.to_builtins(model), config.lora.enabled])


def here(config: Config) -> Config:
    """`config` for this machine, which need not have the device that a record asks for."""
    from tui_loop.engine.models import choose_device

    try:
        choose_device(config.run.device)
    except BadInput:
        return with_settings(config, ["run.device=auto"])
    return config
