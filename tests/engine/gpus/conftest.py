"""GPUs that this machine does not have."""

from __future__ import annotations

from tests.gpus.fake import gpus

__all__ = ["gpus"]
