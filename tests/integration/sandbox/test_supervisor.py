"""`make run`: ports in use, an unknown scenario, children that die, and an end that leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from dotenv import dotenv_values

from services.sandbox import __main__ as supervisor
from services.sandbox.__main__ import Child, read_settings, read_thresholds, stop_children, wait_until_up
from services.sandbox.common.identities import account_address
from services.sandbox.common.ports import free_port


def start_child(code: str, address: str = "http://127.0.0.1:1") -> Child:
    return Child("worker", subprocess.Popen([sys.executable, "-c", code], start_new_session=True), address)


def free_ports() -> dict[str, str]:
    return {name: str(free_port()) for name in ("DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT")}


@pytest.mark.parametrize("variable", ["DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT"])
def test_a_busy_port_is_named_with_its_variable(variable):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"Port {port} is in use: .*{variable}"):
            read_settings({**free_ports(), variable: str(port)})


@pytest.mark.parametrize("value", ["eighty", "0", "70000", "-1", "8²", "٨٠٨٠"])
def test_an_invalid_port_is_refused_by_name(value):
    with pytest.raises(SystemExit, match=r"SANDBOX_PORT='.*' is not a port"):
        read_settings({**free_ports(), "SANDBOX_PORT": value})


def test_one_port_for_two_servers_is_refused_by_both_names():
    port = str(free_port())
    with pytest.raises(SystemExit, match=rf"DASHBOARD_PORT and COORDINATOR_PORT are both {port}"):
        read_settings({**free_ports(), "DASHBOARD_PORT": port, "COORDINATOR_PORT": port})


def test_a_reserved_port_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(supervisor, "bind_error", lambda _: PermissionError(13, "Permission denied"))
    with pytest.raises(SystemExit, match=r"Port 80 is reserved for root: set DASHBOARD_PORT"):
        read_settings({"DASHBOARD_PORT": "80"})


def test_every_process_gets_the_thresholds_of_the_file_unless_the_environment_sets_them(tmp_path):
    thresholds = tmp_path / "thresholds.env"
    thresholds.write_text("ORPHAN_AFTER_H=30\nCOVERAGE_WARNING_PCT=95")
    env = {"COVERAGE_WARNING_PCT": "90", "HOME": "/root"}
    assert read_thresholds(thresholds, env) == {"ORPHAN_AFTER_H": "30", "COVERAGE_WARNING_PCT": "90"}
    assert read_thresholds(env={}) == dotenv_values(supervisor.THRESHOLDS_FILE)
    thresholds.write_text("ORPHAN_AFTER_H=soon")
    with pytest.raises(SystemExit, match="ORPHAN_AFTER_H='soon' cannot be used: a number above 0"):
        read_thresholds(thresholds, {})


def run_supervisor(**variables: str) -> tuple[int, list[str]]:
    """Exit code of `python -m services.sandbox`, and every line it printed."""
    env = {**os.environ, **free_ports(), **variables}
    result = subprocess.run([sys.executable, "-m", "services.sandbox"], env=env, capture_output=True, timeout=60)
    return result.returncode, (result.stdout + result.stderr).decode().strip().splitlines()


def test_a_busy_port_exits_with_one_line():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        code, lines = run_supervisor(SANDBOX_PORT=str(port))
    assert code == 1
    assert lines == [f"Port {port} is in use: end what runs there, or set SANDBOX_PORT to another port."]


def test_an_unknown_scenario_exits_with_one_line():
    assert run_supervisor(SCENARIO="spring") == (1, ["SCENARIO='spring' is not known: december, season or customer."])


def test_a_dead_child_is_reported():
    with pytest.raises(SystemExit, match="The worker ended with code 3"):
        wait_until_up(start_child("raise SystemExit(3)"), timeout_s=30)


def test_an_unresponsive_child_is_reported():
    silent = start_child("import time; time.sleep(60)")
    try:
        with pytest.raises(SystemExit, match="did not answer"):
            wait_until_up(silent, timeout_s=0.2)
    finally:
        stop_children([silent])


def test_a_child_that_was_killed_is_started_again_as_it_was(capsys):
    first = supervisor.start_child("worker", ["http.server", str(free_port())], {}, "")
    assert supervisor.restart_if_ended(first, first.started_at_s + 100) is first, "it runs"
    first.process.kill()
    first.process.wait(timeout=10)
    second = supervisor.restart_if_ended(first, first.started_at_s + 100)
    try:
        assert (second.command, second.early_ends) == (first.command, 0)
        assert (second.process.poll(), second.process.pid == first.process.pid) == (None, False)
    finally:
        stop_children([second])
    assert capsys.readouterr().out == "The worker ended with code -9; it is started again.\n"


def test_a_child_that_keeps_ending_is_started_ever_more_rarely():
    child = supervisor.start_child("worker", ["a_module_that_is_not_there"], {}, "")
    for wait_s in (1, 2, 4, 8, 16, 30, 30):
        child.process.wait(timeout=30)
        assert supervisor.restart_if_ended(child, child.started_at_s + wait_s - 0.1) is child
        successor = supervisor.restart_if_ended(child, child.started_at_s + wait_s + 0.1)
        assert successor is not child
        child = successor
    stop_children([child])


def test_the_world_survives_the_death_of_its_processes_which_come_back_as_the_same_accounts(tmp_path):
    """With a sandbox that demands credentials, so that a process without its account could do nothing."""
    env, output = {**os.environ, **free_ports(), "SANDBOX_REQUIRES_CREDENTIALS": "true"}, tmp_path / "stdout"
    with output.open("w") as stdout:
        process = subprocess.Popen([sys.executable, "-m", "services.sandbox"], env=env, stdout=stdout)
    health_url = f"http://127.0.0.1:{env['COORDINATOR_PORT']}/health"
    try:
        deadline = time.monotonic() + 120
        while "Ctrl-C ends everything" not in output.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        accounts = accounts_of_children(process.pid)
        assert accounts == {
            "services.pipeline.worker": "prediction-on-call-pipeline",
            "services.pipeline.coordinator": "prediction-on-call-pipeline",
            "app.server": "prediction-on-call-read",
            "services.alerts.watchdog": "prediction-on-call-act",
        }
        killed = children_of(process.pid)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(accounts_of_children(process.pid)) == 4 and not {*killed} & {*children_of(process.pid)})
        wait_until_healthy(health_url)
        assert process.poll() is None
        sandbox_url = f"http://127.0.0.1:{env['SANDBOX_PORT']}"
        assert requests.get(f"{sandbox_url}/sandbox/health", timeout=10).ok
        assert accounts_of_children(process.pid) == accounts
        wait_for(lambda: {"prediction-on-call-read", "prediction-on-call-act"} <= accounts_of_jobs(sandbox_url))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def wait_for(condition: Callable[[], bool], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def accounts_of_children(pid: int) -> dict[str, str]:
    """The account that each running child's environment names, by the child's module."""
    accounts = {}
    for child in children_of(pid):
        if not is_running(child):
            continue
        try:
            environment, command = Path(f"/proc/{child}/environ").read_text(), command_of(child)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if " -m " not in command:
            continue  # it has just been forked, or is ending
        variables = dict(line.split("=", 1) for line in environment.split("\0") if line)
        module = command.split(" -m ")[1].split()[0]
        accounts[module] = variables.get("SANDBOX_PRINCIPAL", "").partition("@")[0]
    return accounts


def accounts_of_jobs(sandbox_url: str) -> set[str]:
    """The accounts whose jobs the sandbox has run since it began."""
    headers = {"Authorization": f"Bearer {account_address('developer', 'nba-props-platform')}"}
    url = f"{sandbox_url}/bigquery/v2/projects/nba-props-platform/jobs"
    jobs = requests.get(url, headers=headers, params={"allUsers": "true"}, timeout=30).json()["jobs"]
    return {job["user_email"].partition("@")[0] for job in jobs}


def wait_until_healthy(url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    pytest.fail(f"{url} did not answer.")


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def test_stop_also_ends_grandchildren():
    inner = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{inner}; print(p.pid, flush=True); time.sleep(60)"],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    stop_children([Child("worker", parent, "")])
    assert parent.poll() is not None
    for _ in range(100):
        if not is_running(grandchild):
            break
        time.sleep(0.05)
    assert not is_running(grandchild)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat_file:
            return stat_file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
