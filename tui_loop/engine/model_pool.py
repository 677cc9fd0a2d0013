"""Several models of a loop in one process, which generate as in their own evaluations.

Iterations on the same base share it: all adapters are loaded and one at a time is active, none for
the base itself. That is for inference only and for adapters that leave the base unchanged (a test
compares such outputs with the recorded ones). Where biases or the whole model were trained, an
iteration gets a base of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.data_sources import entry_text
from tui_loop.core.config.schema import EOS, Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.data.rows import Row, Shape
from tui_loop.core.errors import BadInput, NotFound, TuiLoopError
from tui_loop.core.inference_messages import BASE, GenerateRequest, GenerateResponse
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.engine.base_identity import base_of
from tui_loop.engine.evaluation import context_of
from tui_loop.engine.generation import Generated, generate
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.model_source import TINY, find_model
from tui_loop.engine.models import LoadedModel, load_model, load_whole_model
from tui_loop.engine.rendering import Renderer, recorded_renderer
from tui_loop.engine.sources import read_source
from tui_loop.engine.weights import checked_weights, shares_base

NEW_TOKENS = 64
"""The limit on new tokens where an iteration's record has none."""

Poll = Callable[[], None]


class _BaseWithAdapters:
    """A loaded base and the adapters on it."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._model: Any = loaded.model
        self._has_adapters = False

    def add(self, adapter: str, name: str) -> None:
        """Loads another adapter."""
        from peft import PeftModel

        if self._has_adapters:
            self._model.load_adapter(adapter, name, torch_device=str(self.loaded.device))
        else:
            self._model = PeftModel.from_pretrained(self.loaded.model, adapter, adapter_name=name)
            self._has_adapters = True
        self._model.eval()

    @contextlib.contextmanager
    def active(self, name: str | None) -> Iterator[Any]:
        """Yields the model with one adapter active, or none."""
        if not self._has_adapters:
            yield self._model
        elif name is None:
            with self._model.disable_adapter():
                yield self._model
        else:
            self._model.set_adapter(name, inference_mode=True)
            yield self._model


class _PooledModel(msgspec.Struct, frozen=True):
    """The model of one iteration, and the settings of its evaluation."""

    number: int
    config: Config
    weights: _BaseWithAdapters
    adapter: str | None
    renderer: Renderer
    new_tokens: int
    context: int


class ModelPool:
    """The models of some iterations of a loop; `load` each of them, then `generate`."""

    def __init__(self, loop: LoopFolder, numbers: Sequence[int], settings: Sequence[str]) -> None:
        self._loop = loop
        self._numbers = list(numbers)
        self._settings = list(settings)
        self._shared_bases: dict[bytes, _BaseWithAdapters] = {}
        self._models: dict[int, _PooledModel] = {}
        self._rows: dict[str, Row] | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The iterations whose models are loaded."""
        return tuple(self._models)

    def load(self, number: int) -> None:
        """Loads the model of an iteration; raises TuiLoopError, and whatever the stack raises."""
        folder = self._folder_of(number)
        config = with_settings(folder.read_config(), self._settings)
        adapter = None
        if number == BASE:
            pinned, _ = base_of(folder, config)
            weights = self._base(pinned)
        elif config.lora.enabled:
            trained = checked_weights(folder, is_adapter=True)
            pinned, _ = base_of(folder, config)
            adapter = f"iteration-{number}"
            weights = self._base(pinned) if shares_base(trained) else self._load_base(pinned)
            weights.add(str(trained), adapter)
        else:
            weights = self._whole_model(folder, config)
        effective = folder.read_effective()
        recorded = effective.get("evaluation", {}).get("max_new_tokens")
        self._models[number] = _PooledModel(
            number,
            config,
            weights,
            adapter,
            recorded_renderer(
                weights.loaded,
                config,
                self._shape(effective, config),
                self._loop.root,
                effective,
            ),
            int(config.evaluation.max_new_tokens or recorded or NEW_TOKENS),
            context_of(weights.loaded.model),
        )

    def rows_of(self, examples: Sequence[str]) -> list[Row]:
        """Returns the rows of held-out examples by id; raises BadInput for an unknown one.

        They come from the record of the first iteration. It does not have the turns of
        conversations, so these are read from the data.
        """
        folder = self._folder_of(self._numbers[0])
        recorded = {each.id: each for each in folder.read_examples()}
        rows = []
        for name in examples:
            if name not in recorded:
                raise BadInput(
                    f"{folder} has no example {name!r}", command("failures", folder, "--all")
                )
            example = recorded[name]
            row = self._data_rows(folder).get(name)
            if row is not None and row.prompt == example.prompt:
                rows.append(row)
                continue
            if _has_turns(folder.read_effective()):
                data = folder.read_config().data
                raise BadInput(
                    f"the turns of example {name} are no longer in "
                    f"{entry_text(data.eval or data.train)}",
                    "restore the data file, or enter the prompt as text",
                )
            rows.append(Row(name, example.prompt, example.reference, example.source_line))
        return rows

    def generate(
        self,
        number: int,
        rows: Sequence[Row],
        request: GenerateRequest,
        *,
        poll: Poll,
        on_response: Callable[[GenerateResponse], None],
    ) -> None:
        """Generates the outputs of model `number` for `rows`; sends them batch by batch.

        Greedy outputs equal those of the evaluation, except for float noise where other rows
        share their batch. `poll` is called between two tokens and may raise. Raises TuiLoopError.
        """
        pooled = self._models[number]
        config = with_settings(pooled.config, list(request.settings))
        limit = config.evaluation.max_new_tokens or pooled.new_tokens
        if limit >= pooled.context:
            raise BadInput(
                f"evaluation.max_new_tokens: {limit} leaves no room for a prompt: the model's "
                f"context is {pooled.context} tokens",
                "lower evaluation.max_new_tokens",
            )
        prompts = [pooled.renderer.prompt_ids(row) for row in rows]
        started, sent_at = time.monotonic(), 0.0
        outputs: list[tuple[int, Generated]] = []

        def send_batch(_: int) -> None:
            nonlocal sent_at
            now = time.monotonic() - started
            seconds_each, sent_at = (now - sent_at) / max(1, len(outputs)), now
            for index, output in outputs:
                on_response(
                    GenerateResponse(
                        request.id,
                        number,
                        output.text,
                        output.tokens,
                        output.truncated,
                        round(seconds_each, 3),
                        len(prompts[index]),
                        max(0, len(prompts[index]) - (pooled.context - limit)),
                        rows[index].id,
                    )
                )
            outputs.clear()

        with pooled.weights.active(pooled.adapter) as model:
            generate(
                model,
                pooled.weights.loaded.tokenizer,
                prompts,
                settings=config.evaluation,
                stop=pooled.renderer.stop_with(config.evaluation.stop),
                max_new_tokens=limit,
                context=pooled.context,
                batch=EvalBatch(config.evaluation.batch_size),
                poll=poll,
                on_progress=send_batch,
                on_output=lambda index, output: outputs.append((index, output)),
            )

    def _base(self, config: Config) -> _BaseWithAdapters:
        """Returns the base that several iterations share; loads it for the first of them."""
        key = _base_key(config)
        if key not in self._shared_bases:
            self._shared_bases[key] = self._load_base(config)
        return self._shared_bases[key]

    def _load_base(self, config: Config) -> _BaseWithAdapters:
        source = find_model(config.model.id, self._loop.root)
        return _BaseWithAdapters(load_model(with_available_device(config), source))

    def _whole_model(self, folder: IterationFolder, config: Config) -> _BaseWithAdapters:
        """Loads a whole fine-tuned model, which needs its base at most for the tokenizer."""
        trained = checked_weights(folder, is_adapter=False)
        model = load_whole_model(with_available_device(config), folder, trained)
        return _BaseWithAdapters(model)

    def _folder_of(self, number: int) -> IterationFolder:
        """Returns the iteration's folder; for a base that was not evaluated, the first one's."""
        try:
            return self._loop.existing(number)
        except NotFound:
            if number != BASE:
                raise
            return self._loop.existing(self._numbers[0])

    def _shape(self, effective: dict[str, Any], config: Config) -> Shape:
        """Returns the shape of the data: as recorded, as configured, or from the data itself."""
        stated = effective.get("shape") or config.data.shape
        shapes: tuple[Shape, ...] = ("text", "prompt_completion", "messages", "instruction")
        known = next((shape for shape in shapes if shape == stated), None)
        return known or load_data(config, self._loop.root, read_source).mapping.shape

    def _data_rows(self, folder: IterationFolder) -> dict[str, Row]:
        """Returns the held-out rows of the data files by id, {} where the files are unreadable."""
        if self._rows is None:
            try:
                data = load_data(folder.read_config(), self._loop.root, read_source)
                self._rows = {row.id: row for row in data.eval}
            except (TuiLoopError, OSError):
                self._rows = {}
        return self._rows


def _has_turns(effective: dict[str, Any]) -> bool:
    """Whether rows are conversations, of which an example's record has the text alone."""
    rendering = effective.get("rendering", {})
    return bool(effective.get("shape") == "messages" or rendering.get("turns"))


def set_threads(config: Config) -> None:
    """Sets torch's number of threads as a run of `config` does."""
    import torch

    threads = config.run.cpu_threads or (1 if config.model.id == TINY else None)
    if threads is not None:
        torch.set_num_threads(threads)


def _base_key(config: Config) -> bytes:
    """Returns a key of how the base is loaded; configs with the same key can share a base."""
    model = msgspec.structs.replace(config.model, init_adapter=None)
    # The eos_token belongs to the tokenizer, which is loaded with the base.
    eos = config.other.get(EOS)
    return codec.to_json([msgspec.to_builtins(model), config.lora.enabled, eos])


def with_available_device(config: Config) -> Config:
    """Returns `config` with `run.device=auto` where this machine lacks its device.

    The iteration may have been trained on another machine.
    """
    from tui_loop.engine.models import choose_device

    try:
        choose_device(config.run.device)
    except BadInput:
        return with_settings(config, ["run.device=auto"])
    return config
