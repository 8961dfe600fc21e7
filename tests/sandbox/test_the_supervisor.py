"""`make run`: ports that are taken, children that die, and an end that leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from services.sandbox.__main__ import Child, free_port, ports, stop, wait_for


def child(code: str, address: str = "http://127.0.0.1:1") -> Child:
    return Child("worker", subprocess.Popen([sys.executable, "-c", code], start_new_session=True), address)


def free_ports() -> dict[str, str]:
    return {name: str(free_port()) for name in ("DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT")}


@pytest.mark.parametrize("variable", ["DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT"])
def test_a_busy_port_is_named_with_its_variable(variable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"Port {port} is in use: .*{variable}"):
            ports({**free_ports(), variable: str(port)})


@pytest.mark.parametrize("told", ["eighty", "0", "70000", "-1"])
def test_what_is_no_port_is_refused_by_name(told):
    with pytest.raises(SystemExit, match=r"SANDBOX_PORT='.*' is not a port"):
        ports({**free_ports(), "SANDBOX_PORT": told})


def test_a_busy_port_ends_the_command_with_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {**os.environ, **free_ports(), "SANDBOX_PORT": str(taken.getsockname()[1])}
        done = subprocess.run([sys.executable, "-m", "services.sandbox"], env=env, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert len((done.stdout + done.stderr).decode().strip().splitlines()) == 1


def test_a_child_that_dies_is_told_in_a_sentence():
    with pytest.raises(SystemExit, match="The worker ended with code 3"):
        wait_for(child("raise SystemExit(3)"), seconds=30)


def test_a_child_that_stays_silent_is_told_too():
    silent = child("import time; time.sleep(60)")
    try:
        with pytest.raises(SystemExit, match="did not answer"):
            wait_for(silent, seconds=0.2)
    finally:
        stop([silent])


def test_the_end_reaches_the_children_of_children():
    inner = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{inner}; print(p.pid, flush=True); time.sleep(60)"],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    stop([Child("worker", parent, "")])
    assert parent.poll() is not None
    for _ in range(100):
        if not alive(grandchild):
            break
        time.sleep(0.05)
    assert not alive(grandchild)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat") as told:
            return told.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
