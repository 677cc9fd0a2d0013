"""The training stack: the only place for torch, transformers, trl, peft and datasets."""
