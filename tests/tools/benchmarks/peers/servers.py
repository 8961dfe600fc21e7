"""A peer with its nights in it: executed by the peer itself, and served."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path

from services.sandbox.common.ports import free_port
from tests.tools.benchmarks import harness
from tests.tools.benchmarks.peers.catalog import Peer
from tests.tools.benchmarks.peers.environment import PeerUnavailable, install, run

LAST_NIGHT, NIGHTS, FAILED_EVERY = date(2025, 12, 29), 170, 17  # as many as the sandbox's season has; 10 of them failed


def list_nights() -> list[tuple[str, bool]]:
    """Each night, the oldest first, and whether it fails."""
    dates = (LAST_NIGHT - timedelta(days=days) for days in reversed(range(NIGHTS)))
    return [(night.isoformat(), number % FAILED_EVERY == 0) for number, night in enumerate(dates)]


def fill(peer: Peer, python: Path, today: date) -> Path:
    """The peer's data folder with its nights executed, kept for the day: its pages list recent runs by default."""
    program = hashlib.sha256(peer.nights.read_bytes()).hexdigest()[:12]
    home = python.parents[1] / "nights" / f"{today}-{program}"
    if (home / "filled").exists():
        return home
    shutil.rmtree(home.parent, ignore_errors=True)
    home.mkdir(parents=True)
    print(f"{peer.name} executes {NIGHTS} nights.", flush=True)
    env = {**os.environ, **peer.environment(home, free_port())}
    if peer.prepare:
        run([str(python), "-m", *peer.prepare], "not prepared", env)
    run([str(python), str(peer.nights)], "not filled", env, json.dumps(list_nights()))
    (home / "filled").touch()
    return home


def start_peer(stack: ExitStack, peer: Peer) -> str:
    """The peer's address, until the stack closes; raises PeerUnavailable where it cannot be installed, filled or started."""
    python = install(peer)
    home, port = fill(peer, python, datetime.now().astimezone().date()), free_port()
    address = f"http://127.0.0.1:{port}"
    command = [part.format(port=port, folder=peer.nights.parent) for part in peer.serve]
    server = harness.start_process(
        peer.name, command, peer.environment(home, port), address + peer.health, home, str(python)
    )
    try:
        stack.enter_context(server)
    except SystemExit as error:
        raise PeerUnavailable(f"not started: {error}") from None
    return address
