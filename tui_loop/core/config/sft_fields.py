"""SFTConfig fields beyond those that the schema declares: settable ones, and those refused.

Names are TRL 1.16's; a test holds them against the SFTConfig that is installed.
"""

from __future__ import annotations

OWNED_TRAINING_FIELDS: dict[str, str] = {
    **dict.fromkeys(
        (
            "output_dir",
            "run_name",
            "project",
            "report_to",
            "disable_tqdm",
            "log_level",
            "log_level_replica",
            "log_on_each_node",
            "logging_nan_inf_filter",
            "skip_memory_metrics",
            "debug",
        ),
        "tui-loop keeps its own record of a run",
    ),
    **dict.fromkeys(("logging_strategy", "logging_first_step"), "use training.logging_steps"),
    **dict.fromkeys(
        (
            "push_to_hub",
            "hub_token",
            "hub_private_repo",
            "hub_model_id",
            "hub_strategy",
            "hub_always_push",
            "hub_revision",
            "trackio_space_id",
            "trackio_bucket_id",
            "trackio_static_space_id",
        ),
        "tui-loop uploads nothing",
    ),
    **dict.fromkeys(
        ("resume_from_checkpoint", "restore_callback_states_from_checkpoint", "ignore_data_skip"),
        "a resumed run continues from its newest checkpoint; training.save_steps sets how often "
        "one is written",
    ),
    "save_strategy": "use training.save_steps, where 0 means no checkpoints",
    **dict.fromkeys(
        ("save_only_model", "save_on_each_node", "enable_jit_checkpoint"),
        "checkpoints are always complete, so that runs can be resumed; see training.save_steps "
        "and training.save_total_limit",
    ),
    **dict.fromkeys(
        ("eval_strategy", "eval_delay", "do_eval"),
        "use training.eval_steps, where 0 means no evaluation during the run",
    ),
    "eval_on_start": "use evaluation.base, which evaluates the base model first",
    **dict.fromkeys(
        ("per_device_eval_batch_size", "eval_accumulation_steps"), "use evaluation.batch_size"
    ),
    "eval_packing": "evaluation rows are never packed; evaluation.max_length cuts them",
    **dict.fromkeys(
        ("prediction_loss_only", "include_for_metrics", "batch_eval_metrics"),
        "use evaluation.metric, where none means only the loss",
    ),
    **dict.fromkeys(
        ("load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
        "use training.keep, where best means the weights with the lowest eval loss",
    ),
    **dict.fromkeys(("bf16_full_eval", "fp16_full_eval"), "use model.dtype"),
    **dict.fromkeys(
        (
            "eval_do_concat_batches",
            "eval_use_gather_object",
            "do_train",
            "do_predict",
            "label_names",
        ),
        "tui-loop has its own evaluation; see evaluation.metric and training.eval_steps",
    ),
    **dict.fromkeys(("bf16", "fp16"), "use training.precision"),
    "gradient_checkpointing": "renamed to training.activation_checkpointing",
    **dict.fromkeys(("use_cpu", "local_rank"), "use run.device"),
    "model_init_kwargs": "use model.dtype, model.revision or model.quantization",
    "trust_remote_code": "use model.trust_remote_code",
    "chat_template_path": "use data.chat_template",
    **dict.fromkeys(("assistant_only_loss", "completion_only_loss"), "use data.train_on"),
    "dataset_text_field": "use data.columns, e.g. data.columns.text=COLUMN",
    **dict.fromkeys(
        (
            "dataset_kwargs",
            "dataset_num_proc",
            "remove_unused_columns",
            "dataloader_num_workers",
            "dataloader_persistent_workers",
            "dataloader_prefetch_factor",
            "dataloader_multiprocessing_context",
            "length_column_name",
        ),
        "tui-loop prepares the rows in one process; see data.shape and data.columns",
    ),
    **dict.fromkeys(
        ("deepspeed", "fsdp", "fsdp_config", "parallelism_config", "accelerator_config"),
        "a run uses a single process; see run.device",
    ),
    "auto_find_batch_size": "when memory runs out, a run already lowers "
    "training.per_device_train_batch_size; the effective batch size stays the same",
    "pad_token": "the padding token of the tokenizer is used",
}
"""SFTConfig fields that the program sets itself, with what to set instead."""

OTHER_TRAINING_FIELDS: dict[str, type | tuple[type, ...]] = {
    "lr_scheduler_kwargs": dict,
    "optim_args": str,
    "adam_beta1": float,
    "adam_beta2": float,
    "adam_epsilon": float,
    "optim_target_modules": (str, list),
    "average_tokens_across_devices": bool,
    "label_smoothing_factor": float,
    "tf32": bool,
    "activation_checkpointing_kwargs": dict,
    "gradient_checkpointing_kwargs": dict,
    "torch_compile": bool,
    "torch_compile_backend": str,
    "torch_compile_mode": str,
    "use_liger_kernel": bool,
    "liger_kernel_config": dict,
    "use_cache": bool,
    "neftune_noise_alpha": float,
    "torch_empty_cache_steps": int,
    "include_num_input_tokens_seen": (str, bool),
    "full_determinism": bool,
    "data_seed": int,
    "dataloader_drop_last": bool,
    "dataloader_pin_memory": bool,
    "dataloader_in_order": bool,
    "train_sampling_strategy": str,
    "ddp_find_unused_parameters": bool,
    "ddp_bucket_cap_mb": int,
    "ddp_broadcast_buffers": bool,
    "ddp_static_graph": bool,
    "ddp_backend": str,
    "ddp_timeout": int,
    "router_aux_loss_coef": float,
    "eos_token": str,
    "truncation_mode": str,
    "shuffle_dataset": bool,
    "packing_strategy": str,
    "padding_free": bool,
    "pad_to_multiple_of": (int, str),
    "loss_type": str,
    "activation_offloading": bool,
}
"""The remaining fields of TRL 1.16's SFTConfig, settable under `training`; a test compares."""
