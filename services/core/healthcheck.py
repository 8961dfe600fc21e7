"""The container's health check: `python -m services.core.healthcheck` exits with 0, or with a sentence and 1.

A container without a server (the watchdog) is healthy while its process runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import requests

from services.core.settings import ServerSettings

HEALTH_PATHS = {"app.server": "/_stcore/health", "services.pipeline": "/health"}


def health_path(command: str) -> str:
    """The health endpoint's path of the service that `command` started; empty for one without a server."""
    return next((path for module, path in HEALTH_PATHS.items() if module in command), "")


def check(command: str, env: Mapping[str, str] | None = None) -> str:
    """Why the service that `command` started is not healthy, in a sentence; empty when it is."""
    path = health_path(command)
    url = f"http://127.0.0.1:{ServerSettings.from_env(env).port}{path}"
    if not path:
        return ""
    try:
        response = requests.get(url, timeout=5)
    except requests.RequestException as error:
        return f"{url} does not answer ({type(error).__name__})."
    return "" if response.ok else f"{url} answers {response.status_code}."


if __name__ == "__main__":
    init_command = Path("/proc/1/cmdline").read_bytes().replace(b"\0", b" ").decode()
    raise SystemExit(check(init_command) or 0)
