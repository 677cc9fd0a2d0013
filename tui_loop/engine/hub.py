"""Whether the model hub can be reached, told in a second rather than in retries."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from tui_loop.engine.quiet import set_environment

CONNECT_SECONDS = 3.0


def use_cache_where_unreachable() -> None:
    """Switches the hub's client to its cache if there is no way to the hub.

    Without this an id that is not cached costs half a minute of retries. Called before the
    client is imported, and inherited by run hosts; a proxy is left to the client to find.
    """
    set_environment()
    if os.environ.get("HF_HUB_OFFLINE") or _has_proxy():
        return
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
    try:
        socket.create_connection((endpoint.hostname or "", port), CONNECT_SECONDS).close()
    except OSError:
        os.environ["HF_HUB_OFFLINE"] = "1"


def _has_proxy() -> bool:
    return any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"))
