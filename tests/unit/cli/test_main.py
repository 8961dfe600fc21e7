"""Command lines that go wrong are one sentence with a hint and an exit code; help and completion are there for every command."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from services.actions.log_writer import ActionNotRecorded
from services.cli import platform_reports
from services.cli.__main__ import run
from services.cli.commands import cli
from services.cli.terminal import Terminal
from services.core.errors import InvalidInput, OnCallError, SettingsError, SourceUnavailable
from services.core.settings import Settings
from tests.support.alert_factories import NOW as NOW
from tests.support.paths import ROOT


def all_commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += all_commands(command, *path, name)
    return found


@pytest.mark.parametrize("words", all_commands(cli), ids=" ".join)
def test_every_command_explains_itself(oncall, words):
    answer = oncall(*words, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: oncall {' '.join(words)}")
    assert answer.out.count("\n") > 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("No such thing.", "Choose one."), 2),
        (SettingsError("No such thing.", "Choose one."), 2),
        (SourceUnavailable("No such thing.", "Choose one."), 3),
        (ActionNotRecorded("No such thing.", "Choose one."), 3),
        (OnCallError("No such thing.", "Choose one."), 1),
    ],
)
def test_an_error_is_one_sentence_with_its_hint_and_a_code(oncall, monkeypatch, error, code):
    def fail(_clients: object) -> None:
        raise error

    monkeypatch.setattr(platform_reports, "capacity_report", fail)
    answer = oncall("capacity", "--json")
    assert (answer.code, answer.err) == (code, "No such thing. Choose one.\n")
    assert json.loads(answer.out) == {"error": "No such thing.", "hint": "Choose one."}
    assert oncall("capacity").out == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nothing"], "nothing"),
        (["night", "--date", "2025-W01-1"], "write it as 2025-12-29"),
        (["night", "--date", "2031-01-01"], "is in the future"),
        (["coverage", "--nights", "0"], "Ask for 1 to"),
        (["coverage", "--nights", "5000"], "Ask for 1 to"),
        (["compare", "2025-12-29", "--date", "2025-12-29"], "is the night itself"),
        (["compare", "2031-01-01"], "is in the future"),
        (["compare", "yesterday"], "is not a game date"),
        (["names", "--nights", "5000"], "Ask for 1 to"),
        (["actions", "--days", "5000"], "Ask for 1 to"),
        (["logs", "nothing"], "is not one search"),
        (["logs", ""], "is not one search"),
        (["logs", "nothing", "--since", "2h"], "is not one search"),
        (["logs", "", "--since", "2h"], "is not one search"),
        (["logs", "--filter", "(severity>=ERROR"], "The parenthesis at line 1, column 1 is not closed."),
        (["logs", "--filter", "x" * 30_000], "has 30,000 characters"),
        (["logs", "--since", "2 hours"], "write it as 30m, 2h or 7d"),
        (["logs", "--since", "90d"], "spans 90 days; at most 31"),
        (["logs", "--from", "yesterday"], "write it as 2025-12-29T14:00"),
        (["logs", "--from", "2025-12-29T15:00", "--to", "2025-12-29T14:00"], "ends before it begins"),
        (["logs", "--from", "2025-08-29", "--to", "2025-12-29"], "at most 31"),
        (["logs", "--to", "2025-12-29"], "Which time is meant"),
        (["logs", "--since", "2h", "--from", "2025-12-29"], "Which time is meant"),
        (["logs", "--source", "Cloud"], "--source"),
        (["count", "--by", "batch"], "cannot be counted by 'batch'"),
        (["count", "--by", ""], "not by 0"),
        (["count", "--from", "2025-12-29", "--to", "2025-12-01"], "before it begins"),
        (["count", "--from", "1900-01-01"], "at most 400 can be counted"),
        (["count", "--player", "x" * 400], "400 characters, of at most 100"),
        (["count", "bets"], "bets"),
        (["logs", "--since", "2h", "--date", "2025-12-29"], "Which time is meant"),
        (["logs", "--from", "2025-12-29", "--date", "2025-12-29"], "Which time is meant"),
        (["logs", "--since", "0h"], "write it as 30m, 2h or 7d"),
        (["logs", "--since", "100000m"], "write it as 30m, 2h or 7d"),
        (["logs", "--since", "2hours"], "write it as 30m, 2h or 7d"),
        (["logs", "--follow", "--since", "2h"], "--follow goes with no time"),
        (["logs", "--follow", "--date", "2025-12-29"], "--follow goes with no time"),
        (["verify"], "Name a batch, or the nights"),
        (["verify", "--from", "2025-12-28"], "Name a batch, or the nights"),
        (["verify", "--to", "2025-12-29"], "Name a batch, or the nights"),
        (["verify", "batch_x", "--from", "2025-12-28", "--to", "2025-12-29"], "Name a batch, or the nights"),
        (["logs", "--follow", "--filter", ")"], "closes nothing"),
        (["do", "set-capacity", "--instances", "many", "--requests", "3"], "many"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(oncall, words, text):
    answer = oncall(*words)
    assert (answer.code, answer.out) == (2, "")
    assert text in answer.err
    assert "Traceback" not in answer.err


def test_settings_that_cannot_be_used_stop_no_help(capsys):
    def unusable() -> Settings:
        raise SettingsError("PORT='x' is not a port.")

    assert run(["--help"], Terminal(read_settings=unusable)) == 0
    assert run(["night"], Terminal(read_settings=unusable)) == 2
    assert "PORT='x' is not a port." in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(oncall, shell):
    answer = oncall("completion", shell)
    assert answer.code == 0
    assert "_ONCALL_COMPLETE" in answer.out


def test_completion_knows_the_verbs(monkeypatch, capsys):
    for name, value in {"_ONCALL_COMPLETE": "bash_complete", "COMP_WORDS": "oncall do sca", "COMP_CWORD": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out == "plain,scale-down\n"


def test_make_oncall_writes_a_command_that_runs_from_any_folder(tmp_path):
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / ".ready").touch()
    subprocess.run(["make", "oncall", f"VENV={folder}"], cwd=ROOT, check=True, capture_output=True, text=True)
    (tmp_path / "services").mkdir()  # a folder of that name where one stands must not be taken for ours
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    command = [str(folder / "bin" / "oncall"), "do", "--help"]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert "scale-down" in answer.stdout
