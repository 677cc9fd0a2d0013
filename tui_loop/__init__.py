"""tui_loop: the LLM fine-tuning loop (train, evaluate, diagnose, adjust) in a terminal."""

__version__ = "0.1.0"
