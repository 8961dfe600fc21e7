"""An environment of its own for each peer, installed once into PEERS_DIR (~/.cache/prediction-on-call/peers)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.tools.benchmarks.peers.catalog import Peer

TIMEOUT_S = 900


class PeerUnavailable(Exception):
    """The peer is not measured; the text says why."""


def peers_dir() -> Path:
    """Where environments are kept between runs, outside of the repository."""
    return Path(os.environ.get("PEERS_DIR") or "~/.cache/prediction-on-call/peers").expanduser()


def install(peer: Peer) -> Path:
    """The peer's Python, installed when these pins are not yet; raises PeerUnavailable with pip's last line."""
    digest = hashlib.sha256(peer.lock.read_bytes()).hexdigest()[:12]
    folder = peers_dir() / f"{peer.name.lower()}-{digest}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    if (folder / "installed").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)  # an installation that was interrupted
    folder.mkdir(parents=True)
    print(f"Installing {peer.requirement} into {folder}.", flush=True)
    run([sys.executable, "-m", "venv", str(folder)], "no virtual environment")
    # The peer's pins are complete, and a machine's own constraints are for other packages.
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "-r", str(peer.lock)], "not installed")
    (folder / "installed").touch()
    return python


def run(command: list[str], failure: str, env: Mapping[str, str] | None = None, given: str = "") -> None:
    """Run a program to its end; raises PeerUnavailable with its last error, or last line, when it fails."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S, env=env, input=given)
    except subprocess.TimeoutExpired:
        raise PeerUnavailable(f"{failure}: not done within {TIMEOUT_S} s") from None
    except (OSError, subprocess.CalledProcessError) as error:
        output = (getattr(error, "stderr", "") or getattr(error, "stdout", "") or str(error)).strip()
        lines = output.splitlines()
        raise PeerUnavailable(
            f"{failure}: {next((line for line in reversed(lines) if 'rror' in line), lines[-1])}"
        ) from None
