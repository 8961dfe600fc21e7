"""A sandbox starts and stops inside another process without touching that process's signal handlers."""

from __future__ import annotations

import signal
import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from services.sandbox.server import start_sandbox


def test_stop_ends_the_gateway_and_the_emulator_and_frees_the_port():
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    sandbox = start_sandbox()
    port = urlsplit(sandbox.url).port
    assert requests.get(f"{sandbox.url}/sandbox/health", timeout=5).json()["status"] == "ok"
    assert {signum: signal.getsignal(signum) for signum in handlers} == handlers
    sandbox.stop()
    assert {signum: signal.getsignal(signum) for signum in handlers} == handlers
    assert not sandbox._thread.is_alive()
    assert not sandbox.emulator._thread.is_alive()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{sandbox.url}/sandbox/health", timeout=5)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # uvicorn ends its thread by SystemExit
def test_a_sandbox_on_a_busy_port_is_refused_with_the_port():
    others = set(threading.enumerate())  # the gateways of other tests' sandboxes in this process
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(RuntimeError, match=rf"the gateway did not start on port {port}"):
            start_sandbox(port=port)
    left = set(threading.enumerate()) - others
    assert not [thread for thread in left if thread.name == "sandbox-gateway" and thread.is_alive()]
