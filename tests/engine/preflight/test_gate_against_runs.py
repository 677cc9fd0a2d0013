"""What the gate passes runs: random configs on the tiny base."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.engine.conftest import TinyLoop
from tests.engine.test_hosted_runs import files_in
from tui_loop.cli.start import check_start, create
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.plan import plan_next
from tui_loop.engine.host import HostedRuns

pytestmark = [pytest.mark.train, pytest.mark.slow]

CONFIGS = 200

VALUES = {
    "training.optim": [
        *("adamw_torch_fused", "sgd", "adafactor", "rmsprop", "adagrad", "lomo", "sophia"),
        *("adamw_8bit", "galore_adamw", "stable_adamw", "adamw_torch_4bit"),
    ],
    "training.optim_args": ["rank=4", "betas", "", "beta3=x"],
    "training.lr_scheduler_type": [
        *("cosine", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"),
        *("reduce_lr_on_plateau", "cosine_with_min_lr", "warmup_stable_decay", "bell"),
        *("cosine_with_restarts", "cosine_warmup_with_min_lr"),
    ],
    "training.lr_scheduler_kwargs": [
        *("{min_lr=1e-6}", "{min_lr_rate=0.1}", "{num_decay_steps=1}", "{foo=1}", "{power=2.0}"),
        *("{num_cycles=2}", "{num_cycles='two'}", "{lr_end=1e-7}", "{lr_end=5.0}"),
    ],
    "training.warmup_steps": ["0.5", "1", "50", "-1"],
    "training.learning_rate": ["1e-5", "0", "-1", "1e-2", "nan"],
    "training.adam_beta1": ["0.8", "1.0", "-0.1"],
    "training.adam_epsilon": ["1e-6", "-1.0"],
    "training.weight_decay": ["0.1", "-0.1"],
    "training.max_grad_norm": ["0", "0.5"],
    "training.label_smoothing_factor": ["0.1", "1.5", "-0.2"],
    "training.neftune_noise_alpha": ["5.0", "-1.0"],
    "training.loss_type": ["dft", "chunked_nll", "mse"],
    "training.packing": ["true"],
    "training.packing_strategy": ["wrapped", "bfd_split", "tetris"],
    "training.padding_free": ["true"],
    "training.truncation_mode": ["keep_end", "keep_middle"],
    "training.max_length": ["none", "16", "1", "64", "4096", "0"],
    "training.pad_to_multiple_of": ["8", "0", "'auto'", "'many'"],
    "training.train_sampling_strategy": ["group_by_length", "sequential", "alphabetical"],
    "training.dataloader_drop_last": ["true"],
    "training.per_device_train_batch_size": ["1", "3", "64", "0"],
    "training.gradient_accumulation_steps": ["2", "5"],
    "training.activation_checkpointing": ["true"],
    "training.activation_checkpointing_kwargs": ["{use_reentrant=true}", "{foo=1}"],
    "training.activation_offloading": ["true"],
    "training.precision": ["bf16", "fp32", "fp16"],
    "training.tf32": ["true", "false"],
    "training.use_liger_kernel": ["true"],
    "training.use_cache": ["true"],
    "training.router_aux_loss_coef": ["0.1", "0.0"],
    "training.torch_empty_cache_steps": ["1", "0"],
    "training.include_num_input_tokens_seen": ["all", "some", "true"],
    "training.full_determinism": ["true"],
    "training.data_seed": ["7", "-1"],
    "training.seed": ["1", "-1"],
    "training.shuffle_dataset": ["true"],
    "training.eos_token": ["'<|end|>'", "'<nope>'"],
    "training.optim_target_modules": ["['attn']", "'all-linear'"],
    "training.ddp_backend": ["gloo", "pigeon"],
    "training.keep": ["best"],
    "training.early_stopping_patience": ["1"],
    "training.eval_steps": ["1"],
    "training.save_steps": ["1"],
    "lora.enabled": ["false"],
    "lora.r": ["1", "200", "0"],
    "lora.lora_alpha": ["1", "0"],
    "lora.lora_dropout": ["0.5", "1.0", "2.0"],
    "lora.target_modules": [
        *("['c_attn']", "['c_attn','nothing']", "['nothing']", "['lm_head','c_attn']", "['wte']"),
        *("'.*c_proj'", "'('", "'all-linear'", "[]"),
    ],
    "lora.bias": ["all", "lora_only", "some"],
    "lora.use_dora": ["true"],
    "lora.use_rslora": ["true"],
    "model.dtype": ["float32", "bfloat16", "int7"],
    "model.quantization": ["4bit"],
    "data.train_on": ["all", "last"],
    "data.prompt_template": ["'Q: {prompt}'", "'no place'"],
    "evaluation.max_length": ["20", "4096"],
    "evaluation.max_new_tokens": ["1", "300"],
    "evaluation.metric": ["exact_match", "rouge_l", "nothing", "regex"],
    "evaluation.do_sample": ["true"],
    "evaluation.batch_size": ["1", "7"],
    "evaluation.stop": ["['x']"],
    "run.device": ["cuda", "cpu", "auto"],
}

SHORT = (
    *("max_steps=2", "eval_steps=0", "save_steps=0", "evaluation.train_rows=0"),
    *("evaluation.base=false", "max_train_rows=8", "max_eval_rows=3", "max_new_tokens=2"),
)

Setting = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.sampled_from(VALUES[name]).map(lambda value: f"{name}={value}")
)
Settings = st.lists(Setting, min_size=1, max_size=4, unique_by=lambda each: each.partition("=")[0])


@pytest.fixture(scope="module")
def tally() -> dict[str, int]:
    return {"refused": 0, "ran": 0}


def outcome(loop: LoopFolder, chosen: list[str]) -> str:
    """Runs a config; returns "refused", or the run's state with its error."""
    try:
        plan = plan_next(loop, parent=None, settings=[*SHORT, *chosen], why="")
        folders = create(loop, check_start(loop, plan))
    except TuiLoopError:
        return "refused"
    runs = HostedRuns(folders, runner="thread")
    runs.run()
    if runs.refusal:
        assert all(each.message and each.hint for each in runs.refusal)
        return "refused"
    iteration = iteration_of(folders[-1])
    return f"{iteration.state} {(iteration.error or {}).get('kind', '')}".strip()


@pytest.fixture
def small(tiny_loop: Callable[..., TinyLoop]) -> LoopFolder:
    return tiny_loop(training={"max_steps": 2}).loop


@pytest.mark.filterwarnings("ignore")  # libraries warn of settings that they will drop
def test_a_config_that_the_gate_passes_runs_and_one_that_it_refuses_leaves_nothing(
    small: LoopFolder, tally: dict[str, int]
) -> None:
    before = files_in(small.path)

    # No shrinking: each try is a run.
    @settings(max_examples=CONFIGS, phases=[Phase.generate])
    @given(Settings)
    def tried(chosen: list[str]) -> None:
        end = outcome(small, chosen)
        if end == "refused":
            tally["refused"] += 1
            assert files_in(small.path) == before
            return
        tally["ran"] += 1
        folder = small.iteration(1)
        # A rate or a loss may be absurd and still be possible.
        assert end in ("finished", "failed diverged"), (chosen, folder.read_summary())
        shutil.rmtree(folder.path)
        shutil.rmtree(small.path / "rows", ignore_errors=True)
        for name in set(files_in(small.path)) - set(before):
            (small.path / name).unlink()

    tried()
    assert min(tally.values()) >= CONFIGS / 5, tally
