"""`--set` of text that looks like something else."""

from __future__ import annotations

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.validation import ConfigError


@pytest.mark.parametrize("text", ["1234567", "2024-01-01", "true", "1e5"])
def test_text_fields_take_what_looks_like_a_number_or_a_date(text: str) -> None:
    assert with_settings(Config(), [f"model.revision={text}"]).model.revision == text


def test_other_fields_still_say_what_is_wrong_with_it() -> None:
    with pytest.raises(ConfigError, match="whole number"):
        with_settings(Config(), ["lora.r=2024-01-01"])
    assert with_settings(Config(), ["lora_alpha=32"]).lora.lora_alpha == 32.0
