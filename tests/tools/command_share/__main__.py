"""`python -m tests.tools.command_share`: drives the answers to the customer's commands on a sandbox, prints the weighted share."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from tempfile import TemporaryDirectory
from typing import Any

from services.cli.__main__ import run
from services.cli.report import OK_CODE, TROUBLE_CODE
from services.cli.terminal import Terminal
from services.core.settings import Settings
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import start_sandbox
from tests.support.coordinators import coordinator_server
from tests.support.sandbox import FAST, dashboard_env
from tests.tools.command_share.commands import COMMANDS, HandCommand

Driver = Callable[[tuple[str, ...]], tuple[str, dict[str, Any]]]  # drives one call: what went wrong, and the report


def main() -> None:
    """Print each command with its answer, and the share of hits that is answered."""
    sandbox = start_sandbox(build_seed(), latency=FAST)
    try:
        with coordinator_server(sandbox) as url, TemporaryDirectory() as folder:
            os.environ["XDG_STATE_HOME"] = folder  # of this process alone: the plans that are shown here
            settings = Settings.from_env({**dashboard_env(sandbox), "COORDINATOR_URL": url})
            ordered = sorted(COMMANDS, key=lambda command: command.applied)  # what changes the night comes last
            failures = {command.name: drive(command, lambda words: call(settings, words)) for command in ordered}
    finally:
        sandbox.stop()
    print("\n".join(format_table(COMMANDS, failures)))


def drive(command: HandCommand, driver: Driver) -> str:
    """Drive every call of a command; an empty text where all answered, else why it is not answered."""
    if not command.calls:
        return command.left_out
    for words in command.calls:
        failure, report = driver(words)
        if not failure and command.applied:
            failure, report = driver((*words, "--apply", report["hash"]))
        if failure or (failure := check_report(words, report)):
            return failure
    return ""


def call(settings: Settings, words: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """One call, as a process of its own would make it: why it gives no report, else the report."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([*words, "--json"], Terminal(read_settings=lambda: settings))
    if code not in (OK_CODE, TROUBLE_CODE):
        return f"oncall {' '.join(words)} ended with {code}: {err.getvalue().strip()}", {}
    return "", json.loads(out.getvalue())


def check_report(words: tuple[str, ...], report: dict[str, Any]) -> str:
    """Why a report answers nothing: it has unknown parts, or no row; empty where it answers."""
    rows = [value for value in report.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if report["problems"]:
        return f"oncall {' '.join(words)} has unknown parts: {report['problems'][0]['message']}"
    is_no_list = words[0] in ("alerts",)  # no alert is an answer
    return "" if rows or is_no_list else f"oncall {' '.join(words)} has no row"


def format_table(commands: Iterable[HandCommand], failures: dict[str, str]) -> Iterable[str]:
    """A line for each command, then the shares."""
    commands = tuple(commands)
    for command in commands:
        answers = " · ".join(f"oncall {' '.join(words)}" for words in command.calls)
        mark = f"–  {failures[command.name]}" if failures[command.name] else f"✓  {answers}"
        yield f"{command.hits:5,}  {command.name:40} {mark}"
    for name, chosen in (
        ("all commands", commands),
        ("of the prediction night, its inputs and outputs", [command for command in commands if command.of_the_night]),
    ):
        total = sum(command.hits for command in chosen)
        answered = sum(command.hits for command in chosen if not failures[command.name])
        yield f"{answered:5,} of {total:,} hits answered, {100 * answered / total:.1f}%: {name}"


if __name__ == "__main__":
    main()
