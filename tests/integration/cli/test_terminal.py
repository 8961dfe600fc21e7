"""oncall against the sandbox: every reading of 29 December, every plan, the roles of accounts, and the server by stdio."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from services.aliases.edits import EditKind
from services.cli.__main__ import run
from services.cli.terminal import Terminal
from services.cli.verbs import VERBS
from services.core.errors import OnCallError
from services.core.settings import Settings
from tests.support.paths import ROOT
from tests.support.sandbox import account_env, dashboard_env

NIGHT = ("--date", "2025-12-29")
BATCH = "batch_2025-12-29_1767037620"
READINGS: dict[tuple[str, ...], tuple[int, str, Any]] = {  # words → exit code, and a value of the JSON
    ("night", *NIGHT): (1, "health", "critical"),
    ("missing", *NIGHT): (1, "missing", {"write rejected": 90}),
    ("players", *NIGHT, "--find", "lukadoncic"): (1, "health", "critical"),
    ("systems", *NIGHT): (0, "health", "ok"),
    ("runs", *NIGHT): (1, "health", "critical"),
    ("dml", *NIGHT, "--attempts"): (1, "health", "critical"),
    ("coverage", *NIGHT, "--nights", "7"): (1, "health", "critical"),
    ("compare", "2025-12-28", *NIGHT): (1, "other_date", "2025-12-28"),
    ("names", *NIGHT): (1, "health", "warning"),
    ("logs", "dml", *NIGHT): (1, "health", "warning"),
    ("logs", "cons", *NIGHT, "--find", "no such text"): (3, "lines", []),
    ("count", "--by", "date", "--from", "2025-12-28", "--to", "2025-12-29"): (
        0,
        "title",
        "Predictions by date, 2025-12-28 – 2025-12-29",
    ),
    ("count", "worker runs", "--by", "batch,hour", "--from", "2025-12-29", "--to", "2025-12-29", "--cost"): (
        0,
        "health",
        "ok",
    ),
    ("logs", "--source", "cloud functions", *NIGHT): (0, "health", "ok"),
    ("logs", "dml", "--filter", 'textPayload:"ERROR"', "--from", "2025-12-29T14:00", "--to", "2025-12-29T15:00"): (
        1,
        "headline",
        "90 lines, 90 errors",
    ),
    ("handoff", *NIGHT): (1, "title", "Handoff, night of 2025-12-29"),
    ("staging", "--tables"): (1, "health", "warning"),
    ("capacity",): (1, "health", "warning"),
    ("deploys",): (0, "health", "ok"),
    ("schedule",): (0, "health", "ok"),
    ("services",): (0, "health", "ok"),
    ("subscriptions",): (0, "health", "ok"),
    ("refusals",): (0, "health", "ok"),
    ("aliases", "--find", "herb"): (1, "health", "critical"),
    ("identities",): (0, "health", "ok"),
    ("alerts", "--ended"): (0, "alerts", []),
    ("actions",): (0, "actions", []),
    ("settings",): (0, "health", "ok"),
    ("whoami",): (0, "role", "operator"),
}


@pytest.fixture(scope="module")
def environment(module_sandbox) -> Mapping[str, str]:
    """The one of a deployed dashboard: it reads as one account and acts as another."""
    return dashboard_env(module_sandbox)


@pytest.fixture(scope="module")
def reader(environment) -> Terminal:
    """One terminal for the readings, which keeps what it has read."""
    return Terminal(read_settings=lambda: Settings.from_env(environment))


@pytest.fixture(autouse=True)
def own_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def oncall(module_sandbox, environment, capsys):
    """Run `oncall` with these words; its exit code and its JSON, or what it said on standard error."""
    module_sandbox.state.reset_limits()

    def call(*words: str, env: Mapping[str, str] = environment, terminal: Terminal | None = None) -> tuple[int, Any]:
        code = run([*words, "--json"], terminal or Terminal(read_settings=lambda: Settings.from_env(env)))
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else printed.err

    return call


@pytest.mark.parametrize("words", READINGS, ids=" ".join)
def test_a_reading_has_its_exit_code_its_rows_and_its_sources(oncall, reader, words):
    code, key, value = READINGS[words]
    answered, report = oncall(*words, terminal=reader)
    assert (answered, report[key]) == (code, value)
    assert report["problems"] == []


def test_the_night_has_the_figures_of_the_pages(oncall, reader):
    _, report = oncall("missing", *NIGHT, "--reason", "write rejected", terminal=reader)
    assert (report["expected"], report["active"], report["unexplained"]) == (158, 68, 0)
    assert len(report["players"]) == 90
    assert {row["batch"] for row in report["players"]} == {BATCH}


class RecordedArgs(Mapping[str, Any]):
    """Arguments that remember which of them were asked for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given, self.asked = given, set[str]()

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return self.given[key]

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return key in self.given

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


ARGS: dict[str, Any] = {
    "game_date": "2025-12-29",
    "batch_id": "batch_2025-12-25_1766680200",
    "instances": 10,
    "requests": 2,
    "edits": [{"do": EditKind.ADD, "alias": "alexsarr", "canonical": "alexandresarr"}],
    "keep": "garytrent_001",
    "merge": "garytrentjr_001",
    "tables": ["_staging_x"],
}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_plan_asks_for_no_argument_that_its_verb_does_not_offer(module_clients, verb):
    args = RecordedArgs({key: ARGS.get(key, "x") for key in verb.keys if key in ARGS or key.endswith("_id")})
    with suppress(OnCallError):  # what does not exist is refused after its arguments were read
        verb.action_type.plan(module_clients, args)
    assert args.asked <= set(verb.keys)


@pytest.mark.parametrize(("account", "role"), [("read", "operator"), ("pipeline", "viewer")])
def test_an_account_is_an_operator_where_it_may_impersonate_the_acting_one(
    module_sandbox, environment, oncall, account, role
):
    env = account_env(module_sandbox, account, ACTING_ACCOUNT=environment["ACTING_ACCOUNT"])
    _, report = oncall("whoami", env=env)
    assert (report["name"], report["role"]) == (env["SANDBOX_PRINCIPAL"], role)


def test_aliases_are_saved_and_undone_as_the_acting_account_with_the_readers_name_in_the_log(oncall, environment):
    words = ("do", "edit-aliases", "--add", "Alex Sarr=alexandresarr")
    code, plan = oncall(*words)
    assert (code, oncall("aliases", "--find", "alexsarr")[1]["aliases"]) == (0, [])
    typing = ("--reason", "odds name", "--confirm", plan["plan"]["typed"]) if plan["plan"]["typed"] else ()
    code, outcome = oncall(*words, "--apply", plan["hash"], *typing)
    assert (code, outcome["action"][0]["by"]) == (0, environment["SANDBOX_PRINCIPAL"])
    (saved,) = oncall("aliases", "--find", "alexsarr")[1]["aliases"]
    assert (saved["active"], saved["by"]) == (True, environment["SANDBOX_PRINCIPAL"])
    undo = ("do", "undo-edit-aliases", outcome["action"][0]["id"])
    assert oncall(*undo, "--apply", oncall(*undo)[1]["hash"])[0] == 0
    assert oncall("aliases", "--find", "alexsarr")[1]["aliases"] == []


def test_a_program_reads_the_night_over_stdio_with_the_sdks_own_client(environment):
    async def talk() -> tuple[Any, Any]:
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "services.cli", "mcp"], env={**os.environ, **environment}, cwd=ROOT
        )
        async with Client(stdio_client(command)) as client:
            judged = await client.call_tool("missing_players", {"game_date": "2025-12-29", "find": "lukadoncic"})
            note = await client.call_tool("handoff_note", {"game_date": "2025-12-29"})
            return judged, note

    judged, note = anyio.run(talk)
    assert judged.structured_content["missing"] == {"write rejected": 90}
    assert [row["lookup"] for row in judged.structured_content["players"]] == ["lukadoncic"]
    document = note.structured_content["document"]
    assert document.startswith("# ")
    assert "90 of 158 players are missing" in document
