"""Makes a child process take its PyTorch for one that is built for CUDA."""

import os

if os.environ.get("FAKE_NVML"):
    from tui_loop.engine.gpus import claim

    claim.uses_cuda = lambda: True
