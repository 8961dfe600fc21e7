"""Every kind of action has a verb, and every argument of one an option: counted from the registry and from the code."""

from __future__ import annotations

import ast
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import click
import pytest

from services.action_registry import ACTION_TYPES
from services.aliases.edits import EditKind, from_params
from services.batches.ids import staging_table
from services.cli.commands import cli
from services.cli.verbs import VERBS, parse_revert_at
from services.core.errors import InvalidInput
from tests.faults.seeds import FIELDS
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients
from tests.support.paths import ROOT

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)  # 01:45 ET
CLIENTS: Any = SimpleNamespace(now=lambda: NOW)
ARGUMENT_NAMES = {"args", "params"}  # of plans, by which the code reads their arguments
PACKAGES = ("actions", "alerts", "aliases", "notes", "plumbing", "runs", "scaling", "staging")


def read_keys(tree: ast.AST) -> set[str]:
    """The keys that code takes of a plan's arguments: args["x"], args.get("x"), "x" in args, and helpers given (args, "x")."""
    keys: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and is_arguments(node.value) and isinstance(node.slice, ast.Constant):
            keys.add(str(node.slice.value))
        if isinstance(node, ast.Compare) and any(is_arguments(part) for part in node.comparators):
            keys |= constants([node.left])
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and is_arguments(node.func.value):
                keys |= constants(node.args[:1])
            elif any(is_arguments(argument) for argument in node.args):
                keys |= {key for key in constants(node.args) if "." not in key}  # with a dot: an action's own name
    return keys


def is_arguments(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ARGUMENT_NAMES


def constants(nodes: list[ast.expr]) -> set[str]:
    return {
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
    }


def verb(name: str) -> Any:
    return next(verb for verb in VERBS if verb.name == name)


def test_every_action_of_the_registry_has_one_verb():
    counts = Counter(verb.action_type.name for verb in VERBS)
    assert counts == Counter(ACTION_TYPES.keys())
    assert len({verb.name for verb in VERBS}) == len(VERBS)


def test_every_verb_is_a_command_with_its_parameters():
    do = cli.commands["do"]
    assert isinstance(do, click.Group)
    for each in VERBS:
        assert set(each.params) <= set(do.commands[each.name].params)


def test_every_argument_that_a_plan_reads_is_one_of_some_verb():
    trees = [
        ast.parse(path.read_text()) for package in PACKAGES for path in (ROOT / "services" / package).rglob("*.py")
    ]
    keys = set[str]().union(*map(read_keys, trees))
    assert keys == {key for each in VERBS for key in each.keys}


def test_a_key_is_found_however_it_is_read():
    source = 'args["a"]; args.get("b", "x"); plan("scaling.x", args); "c" in args; _require_int(args, "d"); plan.args["e"]; other["f"]'
    assert read_keys(ast.parse(source)) == {"a", "b", "c", "d"}


TYPED: dict[str, dict[str, Any]] = {  # words after each verb that give every argument
    "run": {"words": ["2025-12-29", "--scope", "lost", "--player", "lukadoncic"]},
    "run-range": {"words": ["2025-12-24", "2025-12-29", "--scope", "lost"]},
    "drop": {"words": ["_staging_a"]},
    "drop-orphan": {"words": ["_staging_a"]},
    "remove-duplicates": {"words": ["2025-12-29"]},
    "scale-down": {"words": ["--revert-at", "08:00"]},
    "restore-capacity": {"words": ["--revert-at", "08:00"]},
    "set-capacity": {"words": ["--instances", "4", "--requests", "3", "--revert-at", "08:00"]},
    "edit-aliases": {"words": ["--add", "Herb Jones=herbertjones"]},
    "merge-identities": {"words": ["a_001", "b_001"]},
    "note": {"words": ["text", "--date", "2025-12-29", "--batch", "b", "--player", "p", "--alert", "a"]},
    "silence": {"words": ["x", "--minutes", "60"]},
}


@pytest.mark.parametrize("name", [verb.name for verb in VERBS])
def test_what_is_typed_becomes_every_argument_of_the_action(name):
    each = verb(name)
    required = [p for p in each.params if isinstance(p, click.Argument)]
    words = TYPED.get(name, {"words": ["x"] * len(required)})["words"]
    command = click.Command(name, params=list(each.params), callback=lambda **typed: typed)
    typed = command.main(words, standalone_mode=False)
    args = each.to_args(CLIENTS, {**typed, "reason": "because"})
    assert set(args) == set(each.keys)


def test_aliases_are_added_deactivated_and_read_from_a_file(tmp_path):
    file = tmp_path / "lines.csv"
    file.write_text("alias,canonical\nAlex Sarr,alexandresarr\n")
    typed = {"deactivate": ["herbjones=herbertjones"], "add": ["Bones Hyland=nahshonhyland"], "file": str(file)}
    edits = from_params(verb("edit-aliases").to_args(CLIENTS, typed))
    assert [(e.do, e.alias, e.canonical, e.alias_display) for e in edits] == [
        (EditKind.DEACTIVATE, "herbjones", "herbertjones", ""),
        (EditKind.ADD, "boneshyland", "nahshonhyland", "Bones Hyland"),
        (EditKind.ADD, "alexsarr", "alexandresarr", "Alex Sarr"),
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a,b\n" * 20_000, None])
def test_a_file_that_is_no_list_of_names_is_refused_in_a_sentence(tmp_path, content):
    file = tmp_path / "lines.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"lines\.csv"):
        verb("edit-aliases").to_args(CLIENTS, {"deactivate": [], "add": [], "file": str(file)})


@pytest.mark.parametrize("text", ["herbjones", "=x", "x=", "–=–", "a,b=c", "x=" + "y" * 200])
def test_a_pair_without_two_names_is_refused(text):
    with pytest.raises(InvalidInput):
        verb("edit-aliases").to_args(CLIENTS, {"deactivate": [], "add": [text], "file": None})


def test_no_table_and_no_batch_never_means_all_tables():
    for typed in ({"tables": (), "batch": None}, {"tables": ("_staging_a",), "batch": "batch_x"}):
        with pytest.raises(InvalidInput, match="Name the staging tables"):
            verb("drop").to_args(CLIENTS, typed)


def test_a_batch_means_its_staging_tables_that_are_there_now():
    clock = SimulatedClock()
    project = MemoryProject(clock)
    batch, other = "batch_2025-12-29_1767037620", "batch_2025-12-30_1767132000"
    names = [staging_table(batch, "a"), staging_table(batch, "b"), staging_table(other, "a")]
    for name in names:
        project.create_table(name, FIELDS)
    with in_memory(clock, {}):
        clients = memory_clients(project)
        assert set(verb("drop").to_args(clients, {"tables": (), "batch": batch})["tables"]) == set(names[:2])
        with pytest.raises(InvalidInput, match="'batch_x' has no staging table"):
            verb("drop").to_args(clients, {"tables": (), "batch": "batch_x"})
    project.close()


def test_what_was_not_typed_is_not_an_argument():
    typed = {"game_date": date(2025, 12, 29), "scope": None, "players": (), "reason": ""}
    assert verb("run").to_args(CLIENTS, typed) == {"game_date": "2025-12-29"}
    given = verb("run").to_args(CLIENTS, {**typed, "scope": "lost", "players": ("ann", "bob")})
    assert given == {"game_date": "2025-12-29", "scope": "lost", "players": ["ann", "bob"]}
    nothing = dict.fromkeys(("text", "game_date", "batch_id", "player", "alert_id"))
    assert verb("note").to_args(CLIENTS, {**nothing, "text": "on it"}) == {"text": "on it"}
    assert verb("note").to_args(CLIENTS, {**nothing, "game_date": date(2025, 12, 29)}) == {"game_date": "2025-12-29"}
    assert verb("scale-down").to_args(CLIENTS, {"revert_at": None}) == {}
    sized = {"instances": 4, "requests": 3}
    assert verb("set-capacity").to_args(CLIENTS, {**sized, "revert_at": None}) == sized
    assert verb("resolve").to_args(CLIENTS, {"alert_id": "a", "reason": ""}) == {"alert_id": "a"}
    assert verb("resolve").to_args(CLIENTS, {"alert_id": "a", "reason": "x"}) == {"alert_id": "a", "why": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("08:00", "2025-12-30T08:00:00-05:00"),
        ("01:00", "2025-12-31T01:00:00-05:00"),
        ("2025-12-30T13:00:00+00:00", "2025-12-30T13:00:00+00:00"),
        ("tomorrow", "tomorrow"),
        ("01:45", "2025-12-31T01:45:00-05:00"),  # now is not its next occurrence
        ("23:59", "2025-12-30T23:59:00-05:00"),
        ("8:5", "2025-12-30T08:05:00-05:00"),
        ("0800", "0800"),
        ("8h:00", "8h:00"),
        ("08:0h", "08:0h"),
        ("008:00", "008:00"),
    ],
)
def test_a_time_of_day_is_its_next_occurrence_in_new_york(text, expected):
    assert parse_revert_at(text, NOW) == expected


def test_a_time_of_day_is_on_the_minute():
    assert parse_revert_at("08:00", NOW + timedelta(seconds=7, microseconds=9)) == "2025-12-30T08:00:00-05:00"


@pytest.mark.parametrize("text", ["24:00", "25:00", "08:60"])
def test_a_time_that_no_clock_shows_is_refused(text):
    with pytest.raises(InvalidInput, match=text):
        parse_revert_at(text, NOW)
