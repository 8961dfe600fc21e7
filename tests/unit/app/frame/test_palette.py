"""“Go to…” finds what is read already, each under its kind, and the help names the keys that the page's script knows."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from app.actions import action_feed
from app.frame import palette
from app.frame.pages import ENTRIES
from app.http import index_page
from app.state import reads
from services.action_registry import ACTION_TYPES
from services.core.result import Result
from tests.support.factories import NIGHT, NOW, make_night, make_player

CLIENTS: Any = SimpleNamespace(now=lambda: NOW)


def read_already(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """What pages have read: by the name of the reading."""
    for name in ("night", "batches", "alerts", "first_night"):
        monkeypatch.setattr(getattr(reads, name), "peek", lambda *_, name=name: values.get(name), raising=False)
    monkeypatch.setattr(action_feed, "fetch_log", lambda: Result(values.get("log")))


def find(words: str) -> list[palette.Target]:
    return [target for target in palette.list_targets(CLIENTS, NIGHT) if words in target.label]


def test_without_any_reading_pages_dates_and_commands_are_found(monkeypatch):
    read_already(monkeypatch)
    kinds = {target.label.partition(":")[0] for target in palette.list_targets(CLIENTS, NIGHT)}
    assert kinds == {"Page", "Command", "Date"}
    assert {target.title for target in find("Page: ")} <= set(ENTRIES)
    assert [target.params for target in find("Sun 21 Dec 2025")] == [{"date": "2025-12-21"}]


def test_no_date_before_the_first_stored_one_is_offered(monkeypatch):
    read_already(monkeypatch, first_night=NIGHT)
    assert [target.params["date"] for target in find("Date: ")][-1] == NIGHT.isoformat()


def test_players_batches_alerts_and_actions_lead_to_their_own_address(monkeypatch):
    read_already(
        monkeypatch,
        night=make_night(make_player(active_rows=0, written_rows=0)),
        batches=SimpleNamespace(batches=[SimpleNamespace(batch_id="batch_1")]),
        alerts=SimpleNamespace(open=[SimpleNamespace(message="Writes rejected", alert_id="w-1")]),
        log=SimpleNamespace(actions=[SimpleNamespace(title="Save 4 aliases", actor="nora", action_id="a1")]),
    )
    (player,) = find("Player: Herbert Jones, NOP")
    assert (player.title, ENTRIES[player.title].name, player.params) == ("Player", "player", {"player": "herbertjones"})
    assert find("Batch: batch_1")[0].params == {"batch": "batch_1"}
    assert find("Alert: Writes rejected")[0].params == {"alert": "w-1"}
    assert find("Action: Save 4 aliases, nora")[0].params == {"action": "a1"}


def test_a_command_opens_the_plan_of_a_registered_action(monkeypatch):
    read_already(monkeypatch)
    commands = find("Command: ")
    assert all(target.action is not None and target.action.name in ACTION_TYPES for target in commands)
    assert commands[0].params == {"game_date": NIGHT.isoformat()}


def test_the_help_names_every_key_of_the_pages_script():
    known = set(re.findall(r'^  "(.)": "\.st-key|, "(.)": "\.st-key|^  (\w): "', index_page._SCRIPT, re.MULTILINE))
    assert {"".join(match) for match in known} == {key for key in palette.KEYS if len(key) == 1}
