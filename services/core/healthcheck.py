"""Whether the part that runs in this container answers: `python -m services.core.healthcheck` ends with 0 or with a sentence.

A container without a server (the watchdog) counts as alive while its process runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import requests

PATHS = {"app.server": "/_stcore/health", "services.pipeline": "/health"}


def path_of(command: str) -> str:
    """Where the part that was started by `command` tells its health; empty when it serves nothing."""
    return next((path for part, path in PATHS.items() if part in command), "")


def trouble(command: str, env: Mapping[str, str]) -> str:
    """Why the part is not alive, in a sentence; empty when it is."""
    path = path_of(command)
    address = f"http://127.0.0.1:{env.get('PORT', '8080')}{path}"
    if not path:
        return ""
    try:
        answer = requests.get(address, timeout=5)
    except requests.RequestException as error:
        return f"{address} does not answer ({type(error).__name__})."
    return "" if answer.ok else f"{address} answers {answer.status_code}."


if __name__ == "__main__":
    first = Path("/proc/1/cmdline").read_bytes().replace(b"\0", b" ").decode()
    raise SystemExit(trouble(first, os.environ) or 0)
